//! What a row costs, and how much of that an account is charged.

/// A row without context, in the unit of costs.
pub const ROW: u128 = 1 << 16;
/// Makes charges fine enough for the greatest weight.
const CHARGE_SHIFT: u32 = 32;
/// A row's cost may grow by this many rows for each token of its context. More is a mistake.
const MOST_PER_TOKEN: f32 = 1000.0;
/// An adapter may add this many rows to a row.
const MOST_ADAPTER: f32 = 1000.0;

/// Costs are integers, so that sums do not depend on their order and what was charged can be given back exactly.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    per_token: u128,
}

impl Cost {
    /// A row costs 1 + `context_cost` × the number of tokens that it attends to.
    pub fn new(context_cost: f32) -> Self {
        // NaN becomes 0 when it is converted.
        let bounded = context_cost.clamp(0.0, MOST_PER_TOKEN);
        Self {
            per_token: (f64::from(bounded) * ROW as f64) as u128,
        }
    }

    /// What an account of this weight is charged for `rows` rows from position `first` on, each of which costs `row` without its context.
    pub fn charge(self, first: usize, rows: usize, row: u128, weight: u32) -> u128 {
        by_weight(self.of(first, rows, row), weight)
    }

    /// The cost of `rows` rows from position `first` on, each of which costs `row` without its context, as a number of rows without
    /// context and adapter.
    pub fn in_rows(self, first: usize, rows: usize, row: u128) -> f64 {
        self.of(first, rows, row) as f64 / ROW as f64
    }

    fn of(self, first: usize, rows: usize, row: u128) -> u128 {
        let (first, rows) = (first as u128, rows as u128);
        let contexts = rows * first + rows * (rows + 1) / 2;
        row.saturating_mul(rows)
            .saturating_add(self.per_token.saturating_mul(contexts))
    }
}

/// A row whose adapter adds `adapter` rows' work to it.
pub fn row_with_adapter(adapter: f32) -> u128 {
    ROW + (f64::from(adapter.clamp(0.0, MOST_ADAPTER)) * ROW as f64) as u128
}

/// The least that an account of this weight is charged for `rows` rows.
pub fn least_charge(rows: usize, weight: u32) -> u128 {
    by_weight(ROW * rows as u128, weight)
}

fn by_weight(cost: u128, weight: u32) -> u128 {
    cost.saturating_mul(1 << CHARGE_SHIFT) / u128::from(weight.max(1))
}
