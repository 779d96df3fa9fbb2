//! An Envoy that reads its routes from a file.
