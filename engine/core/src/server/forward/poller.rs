//! epoll, and sockets to upstreams.

use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::server::forward::random::Random;

const EVENTS: usize = 128;
/// Above those that are given to services.
const FIRST_PORT: usize = 1024;
const PORTS: usize = 65_536 - FIRST_PORT;
/// Ports that are tried by chance before the kernel chooses one.
const TRIES: usize = 12;

/// Sockets that one of so many threads may have open, and what they leave to connections of
/// clients and to the rest of the process.
const MOST_SOCKETS: u64 = 8192;
const LEAST_SOCKETS: u64 = 64;
const OTHERS: u64 = 2304;

/// As many sockets as the limit on descriptors allows for one of the `threads`.
pub fn most_sockets(threads: usize) -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel writes to a limit of ours; where it does not, it stays 0.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    share(limit.rlim_cur, threads as u64) as usize
}

fn share(descriptors: u64, threads: u64) -> u64 {
    (descriptors.saturating_sub(OTHERS) / threads.max(1)).clamp(LEAST_SOCKETS, MOST_SOCKETS)
}

pub struct Poller {
    epoll: OwnedFd,
    room: Box<[MaybeUninit<libc::epoll_event>; EVENTS]>,
}

impl Poller {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers; the descriptor is ours once it is checked.
        let epoll = unsafe {
            match libc::epoll_create1(libc::EPOLL_CLOEXEC) {
                -1 => return Err(io::Error::last_os_error()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Self { epoll, room: Box::new([MaybeUninit::uninit(); EVENTS]) })
    }

    pub fn fd(&self) -> RawFd {
        self.epoll.as_raw_fd()
    }

    /// Say `token` when the descriptor is readable. Closing it ends that.
    pub fn read(&self, fd: RawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, token)
    }

    /// Say `token` when it is readable, and when it is writable if that is `wanted`.
    pub fn also_write(&self, fd: RawFd, token: u64, wanted: bool) -> io::Result<()> {
        let write = if wanted { libc::EPOLLOUT as u32 } else { 0 };
        self.control(libc::EPOLL_CTL_MOD, fd, libc::EPOLLIN as u32 | write, token)
    }

    fn control(&self, what: libc::c_int, fd: RawFd, events: u32, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events, u64: token };
        // SAFETY: `event` lives through the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The tokens of all that can be read or written now, up to a bound, into an empty `ready`.
    pub fn ready(&mut self, ready: &mut Vec<u64>) {
        let start = self.room.as_mut_ptr().cast::<libc::epoll_event>();
        // SAFETY: the room has space for as many events as are said.
        let count = unsafe { libc::epoll_wait(self.fd(), start, EVENTS as libc::c_int, 0) };
        let filled = &self.room[..usize::try_from(count).unwrap_or(0)];
        // SAFETY: the kernel has written the first `count`.
        ready.extend(filled.iter().map(|event| unsafe { event.assume_init_ref() }.u64));
    }
}

/// A socket that hears nobody but `to`, on a port that chance chooses (RFC 5452 section 9.2).
pub fn datagrams(to: SocketAddr, random: &mut Random) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::UDP))?;
    for _ in 0..TRIES {
        let port = (FIRST_PORT + random.below(PORTS)) as u16;
        match socket.bind(&SockAddr::from(anywhere(to, port))) {
            Ok(()) => break,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
    // Without a port of our own, connecting gives one of the kernel's choice by chance.
    socket.connect(&SockAddr::from(to))?;
    Ok(socket.into())
}

fn anywhere(to: SocketAddr, port: u16) -> SocketAddr {
    match to {
        SocketAddr::V4(_) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        SocketAddr::V6(_) => SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
    }
}

/// A connection that is being made.
pub fn stream(to: SocketAddr) -> io::Result<TcpStream> {
    let kind = Type::STREAM.nonblocking();
    let socket = Socket::new(Domain::for_address(to), kind, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SockAddr::from(to)) {
        Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
        _ => Ok(socket.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_the_descriptors_that_others_leave() {
        let cases = [(1024, 1, 64), (4304, 2, 1000), (20_000, 2, 8192), (u64::MAX, 64, 8192)];
        for (descriptors, threads, sockets) in cases {
            assert_eq!(share(descriptors, threads), sockets);
        }
    }
}
