//! Sockets opened, with errors that say which address and why.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use crate::error::{Error, Result};
use crate::server::config::Listener;

const RECEIVE_BUFFER: usize = 4 << 20;
const BACKLOG: i32 = 1024;

/// One UDP socket for each thread: the kernel deals packets out by the client's address.
pub fn udp(listener: &Listener, threads: usize) -> Result<Vec<Arc<UdpSocket>>> {
    let address = SocketAddr::new(listener.address, listener.port);
    // SO_REUSEPORT lets every process of the same user in beside us; a first socket without
    // it finds out whether somebody is there.
    drop(bound(address, Type::DGRAM, false).map_err(|error| failed("udp", address, &error))?);
    (0..threads)
        .map(|_| {
            let socket = bound(address, Type::DGRAM, true)
                .and_then(|socket| prepared(socket, listener.address))
                .map_err(|error| failed("udp", address, &error))?;
            Ok(Arc::new(UdpSocket::from(socket)))
        })
        .collect()
}

pub fn tcp(listener: &Listener) -> Result<Arc<TcpListener>> {
    let address = SocketAddr::new(listener.address, listener.port);
    bound(address, Type::STREAM, false)
        .and_then(|socket| {
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            Ok(Arc::new(TcpListener::from(socket)))
        })
        .map_err(|error| failed("tcp", address, &error))
}

fn bound(address: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&SockAddr::from(address))?;
    Ok(socket)
}

fn prepared(socket: Socket, address: IpAddr) -> io::Result<Socket> {
    // The kernel's limit (net.core.rmem_max) cuts it down; it is no error to get less.
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    if address.is_unspecified() {
        match address {
            IpAddr::V4(_) => switch_on(&socket, libc::IPPROTO_IP, libc::IP_PKTINFO)?,
            IpAddr::V6(_) => switch_on(&socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)?,
        }
    }
    if address.is_ipv4() {
        // No fragments, and no belief in ICMP that asks for them (RFC 9715 section 3.1).
        let omit: libc::c_int = libc::IP_PMTUDISC_OMIT;
        set(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, omit)?;
    }
    Ok(socket)
}

fn switch_on(socket: &Socket, level: i32, option: i32) -> io::Result<()> {
    set(socket, level, option, 1)
}

fn set(socket: &Socket, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` lives through the call and has the length given.
    let done = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn failed(protocol: &str, address: SocketAddr, error: &io::Error) -> Error {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "already in use: stop the other server, or choose another \
             port or address"
            .to_owned(),
        io::ErrorKind::PermissionDenied => "no permission: ports below 1024 need root or \
             CAP_NET_BIND_SERVICE"
            .to_owned(),
        io::ErrorKind::AddrNotAvailable => "no interface has this address".to_owned(),
        _ => error.to_string(),
    };
    Error::at("bind", format!("{address}/{protocol}"), why)
}
