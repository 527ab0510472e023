//! The `sluicegate` binary: arguments in, exit code out.

use std::process::ExitCode;

/// Global allocator. A request makes a dozen small allocations: as measured, this allocator takes
/// less time for them than the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // The allocator asks for huge pages. Measured, no request is faster for them, and a proxy
    // that needs 1 MiB holds 12. Where the kernel knows nothing of them there are none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    sluicegate::cli::main()
}
