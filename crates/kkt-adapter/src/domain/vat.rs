//! VAT rates as a dated table (Налоговый кодекс, ст. 164; the days are those on which the rate began and ended).
//! A rate that is not in force is still a rate: a return of an earlier sale keeps the rate of the sale.

use jiff::civil::{Date, date};

/// A rate and the days on which it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VatRate {
    /// In percent.
    pub percent: u8,
    /// First day; `None`: longer ago than any device.
    pub from: Option<Date>,
    /// Last day; `None`: still in force.
    pub until: Option<Date>,
}

/// Every rate that a receipt may carry.
pub const RATES: [VatRate; 7] = [
    VatRate { percent: 0, from: None, until: None },
    // Payers of the УСН, since 2025 (Федеральный закон 176-ФЗ of 2024).
    VatRate { percent: 5, from: Some(date(2025, 1, 1)), until: None },
    VatRate { percent: 7, from: Some(date(2025, 1, 1)), until: None },
    VatRate { percent: 10, from: None, until: None },
    VatRate { percent: 18, from: None, until: Some(date(2018, 12, 31)) },
    VatRate { percent: 20, from: Some(date(2019, 1, 1)), until: Some(date(2025, 12, 31)) },
    VatRate { percent: 22, from: Some(date(2026, 1, 1)), until: None },
];

/// The rates as people read them, for error messages.
pub const ALLOWED: &str = "0, 5, 7, 10, 18, 20, 22, or null for none";

impl VatRate {
    /// The rate of so many percent, whether in force or not.
    #[must_use]
    pub fn of(percent: i64) -> Option<Self> {
        RATES.into_iter().find(|rate| i64::from(rate.percent) == percent)
    }

    /// Whether it is in force on that day.
    #[must_use]
    pub fn in_force(&self, on: Date) -> bool {
        self.from.is_none_or(|from| from <= on) && self.until.is_none_or(|until| on <= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_percent_ends_on_the_day_before_twenty_two_begins() {
        let (old, new) = (VatRate::of(20).unwrap(), VatRate::of(22).unwrap());
        assert!(old.in_force(date(2025, 12, 31)) && !new.in_force(date(2025, 12, 31)));
        assert!(!old.in_force(date(2026, 1, 1)) && new.in_force(date(2026, 1, 1)));
        assert!(VatRate::of(10).unwrap().in_force(date(2026, 1, 1)));
        assert!(!VatRate::of(18).unwrap().in_force(date(2019, 1, 1)));
    }

    #[test]
    fn the_message_names_every_rate_of_the_table() {
        for rate in RATES {
            assert!(ALLOWED.split(", ").any(|word| word == rate.percent.to_string()), "{}", rate.percent);
            assert_eq!(VatRate::of(rate.percent.into()), Some(rate));
        }
        assert_eq!(VatRate::of(15), None);
        assert_eq!(VatRate::of(-20), None);
    }
}
