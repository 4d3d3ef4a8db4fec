//! Numbers in the narrowest format that holds each of them exactly.

use half::{bf16, f16};

#[derive(Clone)]
pub(crate) enum Numbers {
    F32(Vec<f32>),
    F16(Vec<f16>),
    Bf16(Vec<bf16>),
}

// Not derived: a matrix has millions.
impl std::fmt::Debug for Numbers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} numbers of {}", self.len(), self.name())
    }
}

impl Numbers {
    pub fn exact(values: Vec<f32>) -> Self {
        if values.iter().all(|value| value.to_bits() & 0xffff == 0) {
            return Self::Bf16(values.into_iter().map(bf16::from_f32).collect());
        }
        if values
            .iter()
            .all(|value| f16::from_f32(*value).to_f32().to_bits() == value.to_bits())
        {
            return Self::F16(values.into_iter().map(f16::from_f32).collect());
        }
        Self::F32(values)
    }

    pub fn to_f32(&self) -> Vec<f32> {
        match self {
            Self::F32(values) => values.clone(),
            Self::F16(values) => values.iter().map(|value| value.to_f32()).collect(),
            Self::Bf16(values) => values.iter().map(|value| value.to_f32()).collect(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F16(values) => values.len(),
            Self::Bf16(values) => values.len(),
        }
    }

    pub fn bytes(&self) -> usize {
        match self {
            Self::F32(values) => values.len() * 4,
            Self::F16(_) | Self::Bf16(_) => self.len() * 2,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::F32(_) => "f32",
            Self::F16(_) => "f16",
            Self::Bf16(_) => "bf16",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_exact_format_is_chosen() {
        for (values, name) in [
            (vec![0.0, 1.0, -256.0], "bf16"),
            (vec![0.1_f32, 1.0], "f32"),
            (vec![f16::from_f32(0.1).to_f32(), 1.0], "f16"),
            (vec![f32::NAN.copysign(-1.0)], "bf16"),
        ] {
            let numbers = Numbers::exact(values.clone());
            assert_eq!(numbers.name(), name);
            let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&numbers.to_f32()), bits(&values));
        }
    }
}
