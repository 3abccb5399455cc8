//! Task state machine, leases, recovery selection, failure taxonomy.
