//! Frame Streams, the sender's side of its bidirectional form: control frames, and a
//! connection on which frames go out while the receiver takes them.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use socket2::{Domain, SockAddr, Socket, Type};

use crate::server::tap::config::Endpoint;

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
const FIELD_CONTENT_TYPE: u32 = 1;
/// Octets of a control frame at most, as its specification has it.
const LONGEST_CONTROL: usize = 512;
/// How long a receiver may take to let us in, and to say that it has all.
const PATIENCE: Duration = Duration::from_secs(5);
const FAREWELL: Duration = Duration::from_millis(500);
/// How often who waits looks whether it is still to wait.
const SLICE: Duration = Duration::from_millis(50);

mod control {
    pub const ACCEPT: u32 = 1;
    pub const START: u32 = 2;
    pub const STOP: u32 = 3;
    pub const READY: u32 = 4;
    pub const FINISH: u32 = 5;
}

/// An escape, the control frame's length, its type, its fields.
fn control_frame(kind: u32, with_content_type: bool) -> Vec<u8> {
    let mut body = kind.to_be_bytes().to_vec();
    if with_content_type {
        body.extend_from_slice(&FIELD_CONTENT_TYPE.to_be_bytes());
        body.extend_from_slice(&(CONTENT_TYPE.len() as u32).to_be_bytes());
        body.extend_from_slice(CONTENT_TYPE);
    }
    [&[0; 4], &(body.len() as u32).to_be_bytes()[..], &body].concat()
}

/// Whether ACCEPT's fields name our content type; without any, every type is welcome.
fn accepts(mut fields: &[u8]) -> bool {
    let mut named = false;
    while let Some((head, rest)) = fields.split_first_chunk::<8>() {
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|step| head[at + step]));
        let Some(value) = rest.get(..word(4) as usize) else { return false };
        if word(0) == FIELD_CONTENT_TYPE {
            if value == CONTENT_TYPE {
                return true;
            }
            named = true;
        }
        fields = &rest[value.len()..];
    }
    !named && fields.is_empty()
}

/// A connection on which frames may go out.
pub struct Connection(Socket);

impl Connection {
    /// Connect and greet. `stop` says that there is no more time.
    pub fn open(
        endpoint: &Endpoint,
        write_buffer: usize,
        stop: &dyn Fn() -> bool,
    ) -> io::Result<Self> {
        let mut connection = Self(connected(endpoint, write_buffer, stop)?);
        let until = Instant::now() + PATIENCE;
        let give_up = || stop() || Instant::now() >= until;
        connection.send(&control_frame(control::READY, true), &give_up).map_err(|(_, why)| why)?;
        let (kind, fields) = connection.control(&give_up)?;
        if kind != control::ACCEPT || !accepts(&fields) {
            return Err(io::Error::other("what listens there does not take dnstap"));
        }
        connection.send(&control_frame(control::START, true), &give_up).map_err(|(_, why)| why)?;
        Ok(connection)
    }

    /// All of it, or how much of it went out and why no more.
    pub fn send(
        &mut self,
        octets: &[u8],
        stop: &dyn Fn() -> bool,
    ) -> Result<(), (usize, io::Error)> {
        let mut at = 0;
        while at < octets.len() {
            match self.0.write(&octets[at..]) {
                Ok(length) => at += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(&self.0, libc::POLLOUT, stop).map_err(|error| (at, error))?;
                }
                Err(error) => return Err((at, error)),
            }
        }
        Ok(())
    }

    /// Whether the receiver has gone: it has nothing to say until the end.
    pub fn is_over(&self) -> bool {
        let mut polled = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one descriptor that is open.
        unsafe { libc::poll(&raw mut polled, 1, 0) > 0 }
    }

    /// Say that this was all, and wait a little for the receiver to have it.
    pub fn finish(mut self) -> io::Result<()> {
        let until = Instant::now() + FAREWELL;
        let stop = || Instant::now() >= until;
        self.send(&control_frame(control::STOP, false), &stop).map_err(|(_, why)| why)?;
        match self.control(&stop)? {
            (control::FINISH, _) => Ok(()),
            _ => Err(io::Error::other("no end of the stream")),
        }
    }

    /// A control frame's type and fields.
    fn control(&mut self, stop: &dyn Fn() -> bool) -> io::Result<(u32, Vec<u8>)> {
        let wrong = || io::Error::other("what listens there does not speak Frame Streams");
        let mut head = [0; 12];
        self.receive(&mut head, stop)?;
        let word = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|step| head[at + step]));
        let length = word(4) as usize;
        if word(0) != 0 || !(4..=LONGEST_CONTROL).contains(&length) {
            return Err(wrong());
        }
        let mut fields = vec![0; length - 4];
        self.receive(&mut fields, stop)?;
        Ok((word(8), fields))
    }

    fn receive(&mut self, room: &mut [u8], stop: &dyn Fn() -> bool) -> io::Result<()> {
        let mut at = 0;
        while at < room.len() {
            match self.0.read(&mut room[at..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(length) => at += length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    wait(&self.0, libc::POLLIN, stop)?
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn wait(socket: &Socket, events: i16, stop: &dyn Fn() -> bool) -> io::Result<()> {
    let mut polled = libc::pollfd { fd: socket.as_raw_fd(), events, revents: 0 };
    loop {
        if stop() {
            return Err(io::Error::new(ErrorKind::TimedOut, "it took too long"));
        }
        // SAFETY: one descriptor that is open.
        if unsafe { libc::poll(&raw mut polled, 1, SLICE.as_millis() as i32) } > 0 {
            return Ok(());
        }
    }
}

fn connected(
    endpoint: &Endpoint,
    write_buffer: usize,
    stop: &dyn Fn() -> bool,
) -> io::Result<Socket> {
    match endpoint {
        Endpoint::Unix { path } => {
            let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
            reach(socket, &SockAddr::unix(path)?, write_buffer, stop)
        }
        Endpoint::Tcp { place } => {
            let mut last = io::Error::other("the name has no address");
            for address in place.to_socket_addrs()? {
                match reach_over_tcp(address, write_buffer, stop) {
                    Ok(socket) => return Ok(socket),
                    Err(error) => last = error,
                }
            }
            Err(last)
        }
    }
}

fn reach_over_tcp(
    address: SocketAddr,
    write_buffer: usize,
    stop: &dyn Fn() -> bool,
) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_keepalive(true)?;
    reach(socket, &address.into(), write_buffer, stop)
}

fn reach(
    socket: Socket,
    address: &SockAddr,
    write_buffer: usize,
    stop: &dyn Fn() -> bool,
) -> io::Result<Socket> {
    if write_buffer > 0 {
        socket.set_send_buffer_size(write_buffer)?;
    }
    socket.set_nonblocking(true)?;
    match socket.connect(address) {
        Ok(()) => return Ok(socket),
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
        Err(error) => return Err(error),
    }
    let until = Instant::now() + PATIENCE;
    wait(&socket, libc::POLLOUT, &|| stop() || Instant::now() >= until)?;
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_frames_octet_for_octet() {
        assert_eq!(control_frame(control::STOP, false), b"\0\0\0\0\0\0\0\x04\0\0\0\x03");
        let ready = b"\0\0\0\0\0\0\0\x22\0\0\0\x04\0\0\0\x01\0\0\0\x16protobuf:dnstap.Dnstap";
        assert_eq!(control_frame(control::READY, true), ready);
    }

    #[test]
    fn a_receiver_names_what_it_takes_or_takes_all() {
        let field = |value: &[u8]| {
            [&b"\0\0\0\x01"[..], &(value.len() as u32).to_be_bytes(), value].concat()
        };
        let both = [field(b"other"), field(CONTENT_TYPE)].concat();
        assert!(accepts(&[]) && accepts(&field(CONTENT_TYPE)) && accepts(&both));
        assert!(!accepts(&field(b"other")) && !accepts(b"\0\0\0\x01\xff\xff\xff\xff"));
        assert!(!accepts(b"\0\0"));
    }
}
