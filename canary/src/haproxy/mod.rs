//! A running HAProxy, over its runtime API.
