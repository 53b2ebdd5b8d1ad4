//! The BPF programs of Vedette.
//!
//! A probe is three steps: ask the filter, fill a record, emit it. Kernel structures are read only through
//! the accessors in [`kernel`], whose offsets user space resolves from BTF before the programs are loaded.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

/// Logs from a probe: development builds only (feature `bpf-log`); in others it is nothing at all.
macro_rules! note {
    ($ctx:expr, $($arg:tt)*) => {
        #[cfg(feature = "bpf-log")]
        aya_log_ebpf::info!($ctx, $($arg)*);
    };
}

mod emit;
mod filter;
mod kernel;
mod maps;
mod mounts;
mod names;
mod path;
mod probes;
mod record;

/// BPF programs cannot panic: the verifier refuses what could reach this.
#[cfg(not(test))]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// Licence the kernel sees; helpers such as `bpf_probe_read_kernel` are for GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
