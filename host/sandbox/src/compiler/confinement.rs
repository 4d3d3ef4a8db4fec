//! The system calls of the child that compiles uploads. Once confined, it reads its input, writes its output and manages its
//! own memory; the kernel refuses everything else, whatever a component makes the compiler do. Memory and time have caps of
//! their own (`compiler.rs`).

/// Confines all threads of this process, for good. The error says why the kernel did not: then nothing is confined.
pub(super) fn confine() -> Result<(), String> {
    platform::confine()
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
))]
mod platform {
    use seccompiler::{
        BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp, SeccompCondition,
        SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
    };
    use std::{collections::BTreeMap, env::consts::ARCH, process};

    /// Allowed with any arguments: memory, locks, clocks, random numbers, and the end of the process.
    const ALLOWED: [libc::c_long; 18] = [
        libc::SYS_brk,
        libc::SYS_clock_gettime,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_futex,
        libc::SYS_getpid,
        libc::SYS_getrandom,
        libc::SYS_gettid,
        libc::SYS_madvise,
        libc::SYS_mremap,
        libc::SYS_munmap,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sched_getaffinity,
        libc::SYS_sched_yield,
        libc::SYS_sigaltstack,
    ];

    pub(super) fn confine() -> Result<(), String> {
        let program = program().map_err(|error| error.to_string())?;
        apply_filter_all_threads(&program).map_err(|error| error.to_string())
    }

    fn program() -> Result<BpfProgram, BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
        rules.insert(libc::SYS_read, vec![is(0, libc::STDIN_FILENO as u64)?]);
        rules.insert(
            libc::SYS_write,
            vec![is(0, libc::STDOUT_FILENO as u64)?, is(0, libc::STDERR_FILENO as u64)?],
        );
        // New memory only: a file that is open by accident cannot be mapped, and no code can be added to the program's.
        let anonymous = has(3, libc::MAP_ANONYMOUS as u64, libc::MAP_ANONYMOUS as u64)?;
        let no_code = || has(2, libc::PROT_EXEC as u64, 0);
        rules.insert(libc::SYS_mmap, vec![SeccompRule::new(vec![anonymous, no_code()?])?]);
        rules.insert(libc::SYS_mprotect, vec![SeccompRule::new(vec![no_code()?])?]);
        // `abort` sends a signal to its own process.
        rules.insert(libc::SYS_tgkill, vec![is(0, process::id().into())?]);
        let refuse = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, refuse, SeccompAction::Allow, TargetArch::try_from(ARCH)?)?;
        filter.try_into()
    }

    fn is(argument: u8, value: u64) -> Result<SeccompRule, BackendError> {
        let condition = SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value)?;
        SeccompRule::new(vec![condition])
    }

    /// Of the bits in `mask`, the argument has those in `value`.
    fn has(argument: u8, mask: u64, value: u64) -> Result<SeccompCondition, BackendError> {
        SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), value)
    }
}

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")
)))]
mod platform {
    pub(super) fn confine() -> Result<(), String> {
        Err("system calls are only confined on Linux on x86-64, AArch64 and RISC-V".to_owned())
    }
}
