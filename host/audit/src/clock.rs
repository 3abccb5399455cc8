//! The time of day of records: handed in by whoever opens the log, never read behind their back.

use crate::record::Pending;

/// Where a log takes the time of day from.
#[derive(Clone, Copy, Debug)]
pub enum WallClock {
    /// There is none: time is virtual, and the same seed writes the same bytes.
    VirtualTime,
    /// Milliseconds since 1970.
    UnixMs(fn() -> u64),
}

impl WallClock {
    /// Puts the time on a record that has none. What was kept until now did not happen later than now.
    pub(crate) fn stamp(self, pending: &mut Pending) {
        if let Self::UnixMs(now) = self {
            let (time, now) = (&mut pending.stamp.time_unix_ms, now());
            *time = Some(time.map_or(now, |kept| kept.min(now)));
        }
    }
}

/// The last moment that has a date here: the end of the year 9999, milliseconds since 1970.
const LAST_UNIX_MS: u64 = 253_402_300_799_999;

/// Milliseconds since 1970 as a date and a time of day, UTC. What is beyond the year 9999 is no time that a clock has shown,
/// and is said as a number.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    if unix_ms > LAST_UNIX_MS {
        return format!("no date: {unix_ms} ms");
    }
    let (year, month, day) = date_of(unix_ms);
    let s = unix_ms % 86_400_000 / 1000;
    format!(
        "{year}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        s / 3600,
        s / 60 % 60,
        s % 60
    )
}

/// Year, month and day, UTC, of milliseconds since 1970.
#[must_use]
pub fn date_of(unix_ms: u64) -> (u64, u64, u64) {
    date(unix_ms / 86_400_000)
}

/// Year, month and day of the Gregorian calendar, for days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01: a leap day is the last day of its year then, and every 400 years are alike.
    let days = days + 719_468;
    let (cycle, day) = (days / 146_097, days % 146_097);
    let year_of_cycle = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // Months from March have 31, 30, 31, 30, 31 days, again and again.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * cycle + year_of_cycle;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let check = |seconds: u64, expected| assert_eq!(utc(seconds * 1000), expected);
        check(0, "1970-01-01 00:00:00Z");
        check(951_782_399, "2000-02-28 23:59:59Z");
        check(951_782_400, "2000-02-29 00:00:00Z");
        check(1_709_251_199, "2024-02-29 23:59:59Z");
        check(1_795_264_751, "2026-11-21 12:39:11Z");
        check(4_107_542_400, "2100-03-01 00:00:00Z");
        check(253_402_300_799, "9999-12-31 23:59:59Z");
    }

    /// Day by day, through every kind of year there is.
    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for days in 1..=LAST_UNIX_MS / 86_400_000 {
            let (year, month, day) = last;
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            let next = match (month, day == length) {
                (_, false) => (year, month, day + 1),
                (12, true) => (year + 1, 1, 1),
                (_, true) => (year, month + 1, 1),
            };
            last = date(days);
            assert_eq!(last, next);
        }
    }

    /// A time that was made up takes no longer to read than any other.
    #[test]
    fn a_time_that_no_clock_shows_has_no_date() {
        assert_eq!(utc(LAST_UNIX_MS + 1), "no date: 253402300800000 ms");
        for _ in 0..100_000 {
            assert!(utc(u64::MAX).starts_with("no date"));
        }
    }
}
