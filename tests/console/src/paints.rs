//! When pages were first painted. It is printed, and nothing fails by it: it depends on the machine.

use std::fmt;

/// Of each load, its path, and milliseconds from the request for the page to its first paint with content.
#[derive(Default)]
pub struct Paints(Vec<(String, f64)>);

impl Paints {
    pub fn add(&mut self, path: &str, millis: f64) {
        self.0.push((path.to_owned(), millis));
    }
}

impl fmt::Display for Paints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut loads: Vec<&(String, f64)> = self.0.iter().collect();
        loads.sort_by(|one, other| one.1.total_cmp(&other.1));
        let (Some((_, median)), Some((path, longest))) = (loads.get(loads.len() / 2), loads.last()) else {
            return f.write_str("no first paint was measured");
        };
        write!(
            f,
            "first contentful paint of {} loads of pages: median {median:.0} ms, at most {longest:.0} ms ({path})",
            loads.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_and_the_slowest_page_are_named() {
        let mut paints = Paints::default();
        assert_eq!(paints.to_string(), "no first paint was measured");
        for (path, millis) in [("/a", 30.0), ("/b", 50.0), ("/a", 40.0)] {
            paints.add(path, millis);
        }
        assert_eq!(
            paints.to_string(),
            "first contentful paint of 3 loads of pages: median 40 ms, at most 50 ms (/b)"
        );
    }
}
