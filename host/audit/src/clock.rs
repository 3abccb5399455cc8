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
    /// Puts the time on a record that has none.
    pub(crate) fn stamp(self, pending: &mut Pending) {
        if let Self::UnixMs(now) = self {
            let time = &mut pending.stamp.time_unix_ms;
            *time = time.or_else(|| Some(now()));
        }
    }
}

/// Milliseconds since 1970 as a date and a time of day, UTC.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (mut year, mut day) = (1970, days);
    loop {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = if leap { 366 } else { 365 };
        if day >= length {
            (year, day) = (year + 1, day - length);
            continue;
        }
        let mut month = 1;
        for length in [
            31,
            if leap { 29 } else { 28 },
            31,
            30,
            31,
            30,
            31,
            31,
            30,
            31,
            30,
            31,
        ] {
            if day < length {
                break;
            }
            (month, day) = (month + 1, day - length);
        }
        let s = ms / 1000;
        return format!(
            "{year}-{month:02}-{:02} {:02}:{:02}:{:02}Z",
            day + 1,
            s / 3600,
            s / 60 % 60,
            s % 60
        );
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
    }
}
