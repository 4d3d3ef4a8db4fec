//! Excel's numbers as people see them: dates, percentages, plain numbers.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NumberFormat {
    Plain,
    Date,
    Percent,
}

impl NumberFormat {
    /// `code` is a format of the workbook's own; without it the id is one of Excel's.
    pub fn of(id: u32, code: Option<&str>) -> Self {
        let Some(code) = code else {
            return match id {
                9 | 10 => Self::Percent,
                14..=22 | 27..=36 | 45..=47 | 50..=58 => Self::Date,
                _ => Self::Plain,
            };
        };
        let mut bare = String::new();
        let mut quote: Option<char> = None;
        let mut is_escaped = false;
        for character in code.chars() {
            match (quote, character) {
                _ if is_escaped => is_escaped = false,
                (Some(end), character) if character == end => quote = None,
                (Some(_), _) => {}
                (None, '"') => quote = Some('"'),
                (None, '[') => quote = Some(']'),
                (None, '\\' | '_' | '*') => is_escaped = true,
                (None, other) => bare.push(other.to_ascii_lowercase()),
            }
        }
        if bare.contains('%') {
            Self::Percent
        } else if bare.contains(['y', 'd']) || bare.contains("h:") || bare.contains(":s") || bare.contains("mmm") {
            Self::Date
        } else {
            Self::Plain
        }
    }

    /// A cell's number in this format. What is none stays as it is.
    pub fn show(self, text: &str, is_1904: bool) -> String {
        let Ok(number) = text.trim().parse::<f64>() else {
            return text.to_string();
        };
        match self {
            Self::Plain => plain(number),
            Self::Percent => format!("{} %", plain((number * 1e6).round() / 1e4)),
            Self::Date => date(number, is_1904).unwrap_or_else(|| plain(number)),
        }
    }
}

/// Without the noise of binary fractions: 0.1 + 0.2 is stored as 0.30000000000000004.
fn plain(number: f64) -> String {
    if number == number.trunc() && number.abs() < 1e15 {
        return format!("{number:.0}");
    }
    let short: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    format!("{short}")
}

/// A serial number of days since 1900, or 1904, in the form of ISO 8601.
fn date(serial: f64, is_1904: bool) -> Option<String> {
    if !(0.0..2_958_466.0).contains(&serial) {
        return None;
    }
    let seconds = (serial * 86_400.0).round() as i64;
    let (mut days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let time = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    if days == 0 && !is_1904 {
        return Some(time);
    }
    // Excel believes that 1900 was a leap year.
    if !is_1904 && days < 60 {
        days += 1;
    }
    let (year, month, day) = civil(days - if is_1904 { 24_107 } else { 25_569 });
    let date = format!("{year:04}-{month:02}-{day:02}");
    Some(if second == 0 { date } else { format!("{date} {time}") })
}

/// Year, month and day of a number of days since 1970, counted in years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_people_see_them() {
        let plain = NumberFormat::Plain;
        assert_eq!(plain.show("0.30000000000000004", false), "0.3");
        assert_eq!(plain.show("1234567", false), "1234567");
        assert_eq!(plain.show("text", false), "text");
        assert_eq!(NumberFormat::Percent.show("0.125", false), "12.5 %");
        let date = NumberFormat::Date;
        assert_eq!(date.show("46083", false), "2026-03-02");
        assert_eq!(date.show("46083.5", false), "2026-03-02 12:00:00");
        assert_eq!(date.show("0.25", false), "06:00:00");
        assert_eq!(date.show("44621", true), "2026-03-02");
        assert_eq!(date.show("1", false), "1900-01-01");
        assert_eq!(date.show("-1", false), "-1");
    }

    #[test]
    fn formats_are_understood() {
        for (id, code, format) in [
            (14, None, NumberFormat::Date),
            (9, None, NumberFormat::Percent),
            (0, None, NumberFormat::Plain),
            (164, Some("dd/mm/yyyy"), NumberFormat::Date),
            (164, Some("0.00%"), NumberFormat::Percent),
            (164, Some("#,##0 \"days\""), NumberFormat::Plain),
            (164, Some("[Red]0.00"), NumberFormat::Plain),
            (164, Some("0\\d"), NumberFormat::Plain),
        ] {
            assert_eq!(NumberFormat::of(id, code), format, "{code:?}");
        }
    }
}
