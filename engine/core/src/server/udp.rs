//! The UDP threads: packets in and out in batches, one system call each way.

use std::mem::{MaybeUninit, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arc_swap::Cache;

use crate::query::{bare_error, rcode};
use crate::server::chain::Peer;
use crate::server::forward::forwarder::Forwarder;
use crate::server::handle::{Handled, UDP_BUFFER, guarded, handle};
use crate::server::held::{Back, Held, Respond};
use crate::server::routes::Listener;
use crate::server::wake;
use crate::server::{Shared, clock};

const BATCH: usize = 32;
/// A query is a name and some options; longer ones are cut and found malformed.
const QUERY: usize = 2048;
const CONTROL: usize = 64;
/// Batches that one socket may take before the others have their turn.
const TURN: usize = 16;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// The room for one batch.
pub struct Batch {
    queries: Box<[[u8; QUERY]; BATCH]>,
    replies: Box<[[u8; UDP_BUFFER]; BATCH]>,
    addresses: Box<[libc::sockaddr_storage; BATCH]>,
    controls: Box<[Control; BATCH]>,
    vectors: Box<[libc::iovec; BATCH]>,
    headers: Box<[libc::mmsghdr; BATCH]>,
    out: Box<[(libc::iovec, libc::mmsghdr); BATCH]>,
}

// SAFETY: the pointers in the headers lead into the batch's own boxes and are set anew
// before each system call.
unsafe impl Send for Batch {}

impl Batch {
    pub fn new() -> Self {
        // SAFETY: zeros are valid for all of these: integers, arrays of them, null pointers.
        unsafe {
            Self {
                queries: Box::new([[0; QUERY]; BATCH]),
                replies: Box::new([[0; UDP_BUFFER]; BATCH]),
                addresses: Box::new(zeroed()),
                controls: Box::new([Control([0; CONTROL]); BATCH]),
                vectors: Box::new(zeroed()),
                headers: Box::new(zeroed()),
                out: Box::new(zeroed()),
            }
        }
    }

    /// Packets that are there, up to a batch, without waiting; `answer` is given each one
    /// and the room for its reply, and says how long the reply is.
    pub fn turn(
        &mut self,
        fd: RawFd,
        with_control: bool,
        mut answer: impl FnMut(&[u8], &Return, &mut [u8]) -> Option<usize>,
    ) -> usize {
        let received = self.receive(fd, with_control);
        let mut replies = 0;
        for index in 0..received {
            let length = self.headers[index].msg_len as usize;
            let header = &self.headers[index].msg_hdr;
            let back = Return {
                address: self.addresses[index],
                control: self.controls[index],
                control_length: header.msg_controllen.min(CONTROL),
            };
            let packet = &self.queries[index][..length.min(QUERY)];
            if let Some(length) = answer(packet, &back, &mut self.replies[index]) {
                self.controls[index] = back.outward();
                self.queue(replies, index, length, back.control_length);
                replies += 1;
            }
        }
        self.send(fd, replies);
        received
    }

    fn receive(&mut self, fd: RawFd, with_control: bool) -> usize {
        for index in 0..BATCH {
            self.vectors[index] =
                libc::iovec { iov_base: self.queries[index].as_mut_ptr().cast(), iov_len: QUERY };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.addresses[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = &raw mut self.vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
            if with_control {
                header.msg_control = self.controls[index].0.as_mut_ptr().cast();
                header.msg_controllen = CONTROL;
            }
        }
        // SAFETY: each header leads to buffers of the lengths it gives.
        let received = unsafe {
            let headers = self.headers.as_mut_ptr();
            libc::recvmmsg(fd, headers, BATCH as u32, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        usize::try_from(received).unwrap_or(0)
    }

    fn queue(&mut self, place: usize, index: usize, length: usize, control_length: usize) {
        let name_length = self.headers[index].msg_hdr.msg_namelen;
        let (vector, message) = &mut self.out[place];
        *vector = libc::iovec {
            iov_base: self.replies[index].as_mut_ptr().cast(),
            iov_len: length.min(UDP_BUFFER),
        };
        let header = &mut message.msg_hdr;
        header.msg_name = ptr::from_mut(&mut self.addresses[index]).cast();
        header.msg_namelen = name_length;
        header.msg_iov = vector;
        header.msg_iovlen = 1;
        header.msg_controllen = control_length;
        header.msg_control = match control_length {
            0 => ptr::null_mut(),
            _ => self.controls[index].0.as_mut_ptr().cast(),
        };
    }

    fn send(&mut self, fd: RawFd, count: usize) {
        // sendmmsg wants its headers side by side.
        let mut headers: [MaybeUninit<libc::mmsghdr>; BATCH] = [MaybeUninit::uninit(); BATCH];
        for (index, (_, message)) in self.out[..count].iter().enumerate() {
            headers[index].write(*message);
        }
        let mut at = 0;
        while at < count {
            // SAFETY: the first `count` headers are written, and lead to live buffers.
            let sent = unsafe {
                let first = headers[at].as_mut_ptr();
                libc::sendmmsg(fd, first, (count - at) as u32, 0)
            };
            // A reply that can't be sent (no route back, refused by a filter) is lost, as a
            // packet on its way would be.
            at += usize::try_from(sent).unwrap_or(0).max(1);
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

/// The way back to a client: its address, and ours as the kernel told it.
#[derive(Clone)]
pub struct Return {
    address: libc::sockaddr_storage,
    control: Control,
    control_length: usize,
}

impl Return {
    pub fn client(&self) -> Option<SocketAddr> {
        // SAFETY: the kernel wrote an address of the family that it says.
        unsafe {
            let start = ptr::from_ref(&self.address);
            match i32::from(self.address.ss_family) {
                libc::AF_INET => {
                    let v4 = &*start.cast::<libc::sockaddr_in>();
                    let octets = v4.sin_addr.s_addr.to_ne_bytes();
                    Some(SocketAddr::new(octets.into(), u16::from_be(v4.sin_port)))
                }
                libc::AF_INET6 => {
                    let v6 = &*start.cast::<libc::sockaddr_in6>();
                    let octets = v6.sin6_addr.s6_addr;
                    Some(SocketAddr::new(octets.into(), u16::from_be(v6.sin6_port)))
                }
                _ => None,
            }
        }
    }

    /// The address that the query was sent to, where the socket is bound to all.
    pub fn local(&self) -> Option<IpAddr> {
        let mut copy = self.control;
        match packet_info(&mut copy, self.control_length)? {
            PacketInfo::V4(v4) => {
                Some(IpAddr::V4(Ipv4Addr::from(v4.ipi_spec_dst.s_addr.to_ne_bytes())))
            }
            PacketInfo::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from(v6.ipi6_addr.s6_addr))),
        }
    }

    /// The control data to send with: the same address as source, any interface, but for
    /// link-local addresses, which mean nothing without theirs.
    fn outward(&self) -> Control {
        let mut copy = self.control;
        match packet_info(&mut copy, self.control_length) {
            Some(PacketInfo::V4(v4)) => v4.ipi_ifindex = 0,
            Some(PacketInfo::V6(v6)) if v6.ipi6_addr.s6_addr[0] != 0xfe => v6.ipi6_ifindex = 0,
            _ => {}
        }
        copy
    }
}

enum PacketInfo<'a> {
    V4(&'a mut libc::in_pktinfo),
    V6(&'a mut libc::in6_pktinfo),
}

/// The one control message that we ask for (RFC 3542 section 6; ip(7)).
fn packet_info(control: &mut Control, length: usize) -> Option<PacketInfo<'_>> {
    let start = control.0.as_mut_ptr();
    // SAFETY: the buffer is aligned for a header, lives as long as the borrow, and each read
    // is within the length that the kernel gave, which is within the buffer.
    unsafe {
        let v4_needs = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
        let v6_needs = libc::CMSG_LEN(size_of::<libc::in6_pktinfo>() as u32) as usize;
        if length < v4_needs {
            return None;
        }
        let header = &*start.cast::<libc::cmsghdr>();
        let data = libc::CMSG_DATA(header);
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => Some(PacketInfo::V4(&mut *data.cast())),
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if length >= v6_needs => {
                Some(PacketInfo::V6(&mut *data.cast()))
            }
            _ => None,
        }
    }
}

/// Answers a parked query later.
struct Later {
    socket: Arc<UdpSocket>,
    back: Return,
}

impl Respond for Later {
    fn respond(mut self: Box<Self>, reply: &[u8]) {
        let mut control = self.back.outward();
        let mut vector =
            libc::iovec { iov_base: reply.as_ptr().cast_mut().cast(), iov_len: reply.len() };
        // SAFETY: zeros are valid; then every pointer leads to what lives through the call.
        unsafe {
            let mut header: libc::msghdr = zeroed();
            header.msg_name = ptr::from_mut(&mut self.back.address).cast();
            header.msg_namelen = match i32::from(self.back.address.ss_family) {
                libc::AF_INET => size_of::<libc::sockaddr_in>() as u32,
                _ => size_of::<libc::sockaddr_in6>() as u32,
            };
            header.msg_iov = &raw mut vector;
            header.msg_iovlen = 1;
            if self.back.control_length > 0 {
                header.msg_control = control.0.as_mut_ptr().cast();
                header.msg_controllen = self.back.control_length;
            }
            // A reply that can't be sent is lost, as a packet on its way would be.
            let _sent = libc::sendmsg(self.socket.as_raw_fd(), &raw const header, 0);
        }
    }
}

/// How long queries that wait for upstreams may still do so when the server closes.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// A query thread.
pub struct Worker {
    pub shared: Arc<Shared>,
    /// Its place among the threads: its sockets, its counters.
    pub index: usize,
    pub wake: Arc<OwnedFd>,
    pub forwarder: Forwarder,
    /// Queries that may wait for upstreams.
    pub most: usize,
}

fn poll(polled: &mut [libc::pollfd], milliseconds: i32) {
    // SAFETY: a slice and its length.
    unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, milliseconds) };
}

fn readable(fd: RawFd) -> libc::pollfd {
    libc::pollfd { fd, events: libc::POLLIN, revents: 0 }
}

impl Worker {
    /// Answers until the server closes.
    pub fn run(mut self) {
        let shared = self.shared.clone();
        let mut cache = Cache::new(&shared.state);
        let mut batch = Batch::new();
        loop {
            let state = cache.load().clone();
            let mine: Vec<_> = state
                .listeners
                .iter()
                .filter_map(|listener| Some((listener, listener.udp.get(self.index)?)))
                .collect();
            let mut polled: Vec<_> = [self.wake.as_raw_fd(), self.forwarder.fd()]
                .into_iter()
                .chain(mine.iter().map(|(_, socket)| socket.as_raw_fd()))
                .map(readable)
                .collect();
            loop {
                poll(&mut polled, self.forwarder.patience(Instant::now()));
                // First, so that no query sees a state that is no longer the newest.
                if polled[0].revents != 0 {
                    wake::clear(&self.wake);
                    break;
                }
                for (entry, (listener, socket)) in polled[2..].iter().zip(&mine) {
                    if entry.revents != 0 {
                        self.serve(listener, socket, &mut batch);
                    }
                }
                self.forward(polled[1].revents != 0);
            }
            if self.shared.closing.load(Ordering::Acquire) {
                return self.finish();
            }
        }
    }

    /// What goes on with upstreams. A panic fails the queries that wait, and is counted.
    fn forward(&mut self, is_ready: bool) {
        let forwarder = &mut self.forwarder;
        if guarded(&self.shared.hub.panics, || forwarder.turn(is_ready)).is_none() {
            let inbox = self.shared.hub.inbox(self.index);
            if let Some(Ok(anew)) = inbox.map(|inbox| Forwarder::new(inbox, self.most)) {
                self.forwarder = anew;
            }
        }
    }

    /// Let the upstreams answer what they were asked.
    fn finish(mut self) {
        let until = Instant::now() + LAST_PATIENCE;
        while self.forwarder.is_busy() && Instant::now() < until {
            let mut polled = [readable(self.forwarder.fd())];
            let patience = self.forwarder.patience(Instant::now());
            poll(&mut polled, patience.clamp(0, 50));
            self.forward(polled[0].revents != 0);
        }
    }

    fn serve(&self, listener: &Listener, socket: &Arc<UdpSocket>, batch: &mut Batch) {
        let wildcard = listener.door.0.is_unspecified();
        let (hub, panics) = (&self.shared.hub, &self.shared.hub.panics);
        for _ in 0..TURN {
            let clock = clock();
            let taken = batch.turn(socket.as_raw_fd(), wildcard, |packet, back, out| {
                let client = back.client()?;
                let local = if wildcard { back.local() } else { Some(listener.door.0) };
                let peer = Peer { client, local, port: listener.door.1, stream: false };
                match handle(listener, packet, peer, clock, self.index, panics, out) {
                    Handled::Reply(length) => Some(length),
                    Handled::Silence => None,
                    Handled::Stale(length, route, stop) => {
                        let held = Held::for_stage(packet, peer, clock, route, stop);
                        // Nobody waits for it.
                        guarded(panics, || hub.refresh(held, self.index));
                        Some(length)
                    }
                    Handled::Parked(route, stop) => {
                        let later = Later { socket: socket.clone(), back: back.clone() };
                        let back = Back::Client(Box::new(later));
                        let held = Held::new(packet, peer, clock, route, stop, back);
                        match guarded(panics, || hub.park(held, self.index)) {
                            Some(()) => None,
                            None => Some(bare_error(packet, rcode::SERVFAIL, out)),
                        }
                    }
                }
            });
            if taken < BATCH {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
