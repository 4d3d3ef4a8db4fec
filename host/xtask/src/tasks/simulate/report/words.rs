//! Numbers and tables as the report writes them.

/// Whole percents; one digit after the point where there are few.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        few if few != 0.0 && few < 9.95 => format!("{percent:.1} %"),
        _ => format!("{percent:.0} %"),
    }
}

/// Seconds, or milliseconds below one.
pub fn seconds(seconds: f64) -> String {
    if seconds < 0.9995 {
        format!("{:.0} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

/// A whole number, with commas.
pub fn count(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A factor, without digits that say nothing.
pub fn factor(factor: f64) -> String {
    format!("{factor}×")
}

pub struct Table {
    text: String,
}

impl Table {
    pub fn new(heads: &[&str]) -> Self {
        let rule: Vec<&str> = heads.iter().map(|_| "---").collect();
        let mut table = Self { text: String::new() };
        table.row(heads.iter().map(|head| (*head).to_owned()));
        table.row(rule.into_iter().map(str::to_owned));
        table
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells: Vec<String> = cells.into_iter().collect();
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub fn text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_shortly() {
        assert_eq!([percent(0.0), percent(0.034), percent(0.614)], ["0 %", "3.4 %", "61 %"]);
        assert_eq!([seconds(0.0421), seconds(12.34)], ["42 ms", "12.3 s"]);
        assert_eq!(
            [count(12.0), count(123_456.0), count(1_000.0)],
            ["12", "123,456", "1,000"]
        );
        assert_eq!([factor(1.25), factor(4.0)], ["1.25×", "4×"]);
    }
}
