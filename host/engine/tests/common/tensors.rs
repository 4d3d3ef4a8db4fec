//! Safetensors files as plain vectors of f32. Not here: arithmetic.

use safetensors::{Dtype, SafeTensors, View};
use std::{borrow::Cow, collections::BTreeMap, path::Path};

pub type Tensors = BTreeMap<String, Tensor>;

#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub shape: Vec<usize>,
    pub data: Vec<f32>,
}

impl Tensor {
    pub fn new(shape: &[usize], data: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), data.len());
        Self {
            shape: shape.to_vec(),
            data,
        }
    }

    pub fn ones(shape: &[usize]) -> Self {
        Self::new(shape, vec![1.0; shape.iter().product()])
    }

    /// Rows of a matrix, or the one row of a vector.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        self.data.chunks_exact(*self.shape.last().unwrap())
    }

    pub fn row(&self, index: usize) -> &[f32] {
        self.rows().nth(index).unwrap()
    }

    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        let width = *self.shape.last().unwrap();
        &mut self.data[index * width..][..width]
    }
}

pub fn read(file: &Path) -> Tensors {
    let bytes = std::fs::read(file).unwrap();
    let read = |view: safetensors::tensor::TensorView<'_>| {
        assert_eq!(view.dtype(), Dtype::F32);
        let values = view.data().chunks_exact(4);
        let data = values.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        Tensor::new(view.shape(), data)
    };
    SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.to_owned(), read(view)))
        .collect()
}

pub fn bytes(tensors: &Tensors) -> Vec<u8> {
    safetensors::serialize(tensors, None).unwrap()
}

pub fn write(file: &Path, tensors: &Tensors) {
    std::fs::write(file, bytes(tensors)).unwrap();
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.data
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect::<Vec<u8>>()
            .into()
    }

    fn data_len(&self) -> usize {
        self.data.len() * 4
    }
}
