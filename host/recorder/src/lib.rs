//! Drains the flight ring; incidents as MCAP; the run report.
