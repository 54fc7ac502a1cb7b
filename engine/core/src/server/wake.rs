//! eventfd: one thread wakes another that waits in poll, or Python's loop.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

pub fn event() -> io::Result<OwnedFd> {
    // SAFETY: no pointers; the descriptor is ours once it is checked.
    unsafe {
        match libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Make it readable. The write fails only when the counter is full: then it is already.
pub fn ring(event: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight octets are read from `one`.
    let _written = unsafe { libc::write(event.as_raw_fd(), (&raw const one).cast(), 8) };
}

/// Make it unreadable. The read fails only when it is already.
pub fn clear(event: &OwnedFd) {
    let mut count = 0u64;
    // SAFETY: eight octets are written to `count`.
    let _read = unsafe { libc::read(event.as_raw_fd(), (&raw mut count).cast(), 8) };
}
