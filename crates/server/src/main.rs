//! The binary `olmstead`.

mod cli;

use std::process::ExitCode;

/// Gives memory back that is not used any more; with the usual allocator a server that has hashed passwords keeps
/// hundreds of megabytes. RocksDB's memory comes from it, too. Embedders choose their own.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::run()
}
