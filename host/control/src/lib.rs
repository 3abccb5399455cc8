//! The tick: read, select, filter, write, record; and motion generation.
