//! A UDP echo with the server's own loop: what the kernel's part of a query costs.
//!
//! `cargo run --release --example udp_echo -- 127.0.0.1:5399`

use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use zoneward_core::server::udp::Batch;

fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5399".into());
    let socket = UdpSocket::bind(&address)?;
    let fd = socket.as_raw_fd();
    let mut batch = Batch::new();
    let mut polled = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    loop {
        // SAFETY: one descriptor, and room for it.
        unsafe { libc::poll(&raw mut polled, 1, -1) };
        batch.turn(fd, false, |query, _client, reply| {
            let length = query.len().min(reply.len());
            reply[..length].copy_from_slice(&query[..length]);
            // QR, so that a DNS client takes it for an answer.
            reply.get_mut(2).map(|flags| *flags |= 0x80)?;
            Some(length)
        });
    }
}
