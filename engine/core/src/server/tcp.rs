//! DNS over TCP (RFC 7766): pipelined, bounded in everything a peer could use up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::server::callers::Caller;
use crate::server::chain::Peer;
use crate::server::config::Timeouts;
use crate::server::handle::{Handled, STREAM_BUFFER, guarded, handle};
use crate::server::held::{Back, Held, Respond};
use crate::server::routes::Door;
use crate::server::{Shared, clock};

/// Queries of one connection under way or waiting to be sent.
const IN_FLIGHT: usize = 64;
/// Octets of replies that one connection may have waiting for its peer to read; more than the
/// longest reply.
const WAITING: usize = 128 << 10;

/// Accept connections at a door for as long as it is configured.
pub async fn accept(listener: std::net::TcpListener, door: Door, shared: Arc<Shared>) {
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    loop {
        match listener.accept().await {
            Ok((stream, client)) => {
                if let Some(caller) = shared.callers.admit(client.ip()) {
                    tokio::spawn(converse(stream, client, door, shared.clone(), caller));
                }
            }
            // Out of descriptors, most likely: what is open has to close first.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// A reply, its turn, and its octets' room where they were waited for.
type Outgoing = (Vec<u8>, OwnedSemaphorePermit, Option<OwnedSemaphorePermit>);

async fn converse(
    stream: TcpStream,
    client: SocketAddr,
    door: Door,
    shared: Arc<Shared>,
    caller: Caller,
) {
    // Without it a reply waits for an acknowledgment; if it can't be set, it does wait.
    let _delayed = stream.set_nodelay(true);
    let local = stream.local_addr().ok().map(|address| address.ip());
    let state = shared.state.load_full();
    let listener = state.listeners.iter().find(|listener| listener.door == door);
    let patience = Patience::of(listener.map(|listener| listener.timeouts).unwrap_or_default());
    drop(state);
    let (reader, writer) = stream.into_split();
    let (sender, receiver) = unbounded_channel();
    let writing = tokio::spawn(write(writer, receiver, patience.write, caller));
    // The peer's end of the conversation, or its fault: there is nobody to tell.
    let _ended =
        read(reader, Visit { client, local, door, patience }, &shared, sender, &writing).await;
}

#[derive(Clone, Copy)]
struct Visit {
    client: SocketAddr,
    local: Option<IpAddr>,
    door: Door,
    patience: Patience,
}

/// A peer that takes longer is let go.
#[derive(Clone, Copy)]
struct Patience {
    read: Duration,
    write: Duration,
    idle: Duration,
}

impl Patience {
    fn of(timeouts: Timeouts) -> Self {
        let [read, write, idle] =
            [timeouts.read_ms, timeouts.write_ms, timeouts.idle_ms].map(Duration::from_millis);
        Self { read, write, idle }
    }
}

async fn read(
    reader: OwnedReadHalf,
    visit: Visit,
    shared: &Arc<Shared>,
    sender: UnboundedSender<Outgoing>,
    writing: &tokio::task::JoinHandle<()>,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(4096, reader);
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let waiting = Arc::new(Semaphore::new(WAITING));
    let mut out = vec![0; STREAM_BUFFER];
    while !writing.is_finished() {
        timeout(visit.patience.idle, reader.fill_buf()).await??;
        let packet = timeout(visit.patience.read, frame(&mut reader)).await??;
        let patience = visit.patience.write;
        let Ok(turn) = timeout(patience, in_flight.clone().acquire_owned()).await? else { break };
        let state = shared.state.load_full();
        let Some(listener) = state.listeners.iter().find(|l| l.door == visit.door) else { break };
        let peer =
            Peer { client: visit.client, local: visit.local, port: visit.door.1, stream: true };
        let clock = clock();
        let shard = shared.stream_shard;
        let panics = &shared.hub.panics;
        let mut handled = handle(listener, &packet, peer, clock, shard, panics, &mut out);
        if let Handled::Stale(length, route, stop) = handled {
            let held = Held::for_stage(&packet, peer, clock, route, stop);
            // Nobody waits for it.
            guarded(panics, || shared.hub.refresh(held, shard));
            handled = Handled::Reply(length);
        }
        match handled {
            Handled::Reply(length) | Handled::Stale(length, ..) => {
                // The peer that does not read what it asked for is not read either.
                let room = waiting.clone().acquire_many_owned(length as u32);
                let Ok(room) = timeout(patience, room).await? else { break };
                if sender.send((out[..length].to_vec(), turn, Some(room))).is_err() {
                    break;
                }
            }
            Handled::Silence => break,
            Handled::Parked(route, stop) => {
                let back = Back::Client(Box::new(Later { sender: sender.clone(), turn }));
                let held = Held::new(&packet, peer, clock, route, stop, back);
                if guarded(panics, || shared.hub.park(held, shard)).is_none() {
                    break;
                }
            }
        }
    }
    Ok(())
}

/// One message behind its length (RFC 1035 section 4.2.2).
async fn frame(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<u8>> {
    let length = usize::from(reader.read_u16().await?);
    let mut packet = vec![0; length];
    reader.read_exact(&mut packet).await?;
    Ok(packet)
}

/// Sends replies as they come; the connection counts until the last one is sent.
async fn write(
    mut writer: OwnedWriteHalf,
    mut receiver: UnboundedReceiver<Outgoing>,
    patience: Duration,
    _connection: Caller,
) {
    let mut framed = vec![];
    while let Some((reply, turn, room)) = receiver.recv().await {
        framed.clear();
        framed.extend_from_slice(&(reply.len() as u16).to_be_bytes());
        framed.extend_from_slice(&reply);
        match timeout(patience, writer.write_all(&framed)).await {
            Ok(Ok(())) => drop((turn, room)),
            _ => return,
        }
    }
}

struct Later {
    sender: UnboundedSender<Outgoing>,
    turn: OwnedSemaphorePermit,
}

impl Respond for Later {
    fn respond(self: Box<Self>, reply: &[u8]) {
        // It fails when the peer has gone.
        let _gone = self.sender.send((reply.to_vec(), self.turn, None));
    }
}
