//! Integration tests over the virtual-time host, and tests of the house itself.
