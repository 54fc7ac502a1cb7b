//! What a process that holds keys or faces the internet does to itself first.

use std::io;

/// No core dumps, no ptrace by the same user, memory kept out of swap where the limit allows
/// it. Gives what could not be done, one line each.
pub fn protect() -> Vec<String> {
    let mut undone = vec![];
    let mut note = |what: &str, done: io::Result<()>| {
        if let Err(error) = done {
            undone.push(format!("{what}: {error}"));
        }
    };
    note("core dumps could not be switched off", no_core_dumps());
    note("the process could not be made undumpable", undumpable());
    note("memory is not locked and may be swapped out", lock_memory());
    undone
}

fn result(done: libc::c_int) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn no_core_dumps() -> io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a limit of ours is read.
    result(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) })
}

fn undumpable() -> io::Result<()> {
    // SAFETY: no pointers.
    result(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) })
}

/// With a limit, locking would make a later allocation fail: zones grow.
fn lock_memory() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to a limit of ours.
    result(unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) })?;
    if limit.rlim_cur != libc::RLIM_INFINITY {
        let text = "the limit on locked memory is not unlimited (LimitMEMLOCK=infinity)";
        return Err(io::Error::other(text));
    }
    // SAFETY: no pointers.
    result(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE) })
}

/// CLOCK_BOOTTIME in seconds: goes on while the machine is suspended, never jumps.
pub fn boot_time() -> f64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes to a timespec of ours.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
