//! An nginx that is reloaded.
