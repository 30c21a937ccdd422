//! Measurements of Olmstead. Run them with `cargo xtask bench`; the workloads are in `benches/`.
