//! A server that speaks as Redis does, and says what a test wants.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio_util::task::AbortOnDropHandle;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It takes connections and says nothing.
    Mute,
    /// It answers everything with an array that never ends.
    Endless,
    /// It answers everything with one value of half a gibibyte.
    Huge,
    /// It is a good one until it is asked to count, and answers that with one value of half a gibibyte.
    HugeLater,
    /// It answers with what is no answer at all.
    Nonsense,
    /// It is a good one, but every caller is to wait, for ever.
    Strict,
    /// It is a good one that says everything to everybody a hundred times, and changed in every way.
    Parrot,
}

/// Listens until dropped.
pub struct FakeRedis {
    address: SocketAddr,
    taken: watch::Receiver<Option<usize>>,
    _serving: AbortOnDropHandle<()>,
}

impl FakeRedis {
    /// Starts one.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(manner: Manner) -> FakeRedis {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let said = broadcast::Sender::<Arc<[u8]>>::new(65_536);
        let (told, taken) = watch::channel(None);
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, manner, said.clone(), told.clone()));
            }
        });
        FakeRedis { address, taken, _serving: AbortOnDropHandle::new(serving) }
    }

    /// How many bytes of a value of half a gibibyte were taken from it, the kernel's buffers included, before the connection ended.
    ///
    /// # Panics
    /// When the fake has ended.
    pub async fn taken(&self) -> usize {
        let mut taken = self.taken.clone();
        taken.wait_for(Option::is_some).await.expect("it serves").expect("a number")
    }

    /// What a broker is configured with.
    pub fn section(&self) -> String {
        format!("\nredis:\n  url: redis://{}\n", self.address)
    }
}

async fn serve(
    stream: TcpStream,
    manner: Manner,
    said: broadcast::Sender<Arc<[u8]>>,
    told: watch::Sender<Option<usize>>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let command = command(&mut read).await?;
        let name = String::from_utf8_lossy(&command[0]).to_uppercase();
        if manner == Manner::Huge || manner == Manner::HugeLater && name == "EVAL" {
            huge(&mut write, &told).await;
            return None;
        }
        match manner {
            Manner::Mute => {}
            Manner::Endless => write.write_all(b"*1000000000\r\n*1000000000\r\n").await.ok()?,
            Manner::Nonsense => write.write_all(b"\x00\xff!?HTTP/1.1 200 OK\r\n\r\n").await.ok()?,
            Manner::Strict | Manner::Parrot | Manner::Huge | Manner::HugeLater => match name.as_str() {
                "SUBSCRIBE" => {
                    let mut heard = said.subscribe();
                    write
                        .write_all(
                            &[b"*3\r\n$9\r\nsubscribe\r\n", &bulk(&command[1])[..], b":1\r\n"].concat(),
                        )
                        .await
                        .ok()?;
                    while let Ok(word) = heard.recv().await {
                        let message =
                            [b"*3\r\n$7\r\nmessage\r\n", &bulk(&command[1])[..], &bulk(&word)[..]].concat();
                        write.write_all(&message).await.ok()?;
                    }
                    return None;
                }
                "PUBLISH" => {
                    repeat(manner, &command[2], &said);
                    write.write_all(b":1\r\n").await.ok()?;
                }
                "EVAL" if manner == Manner::Strict => {
                    write.write_all(b":9223372036854775807\r\n").await.ok()?
                }
                "EVAL" => write.write_all(b"*2\r\n$5\r\nadmit\r\n:-1\r\n").await.ok()?,
                _ => write.write_all(b"+OK\r\n").await.ok()?,
            },
        }
    }
}

/// A value of half a gibibyte, as far as it is taken.
async fn huge(write: &mut OwnedWriteHalf, told: &watch::Sender<Option<usize>>) {
    const WHOLE: usize = 1 << 29;
    let mut taken = 0;
    let mut written = write.write_all(format!("${WHOLE}\r\n").as_bytes()).await;
    while written.is_ok() && taken < WHOLE {
        written = write.write_all(&[b'x'; 65_536]).await;
        taken += 65_536;
    }
    told.send_replace(Some(taken));
}

/// To everybody who listens.
fn repeat(manner: Manner, word: &[u8], said: &broadcast::Sender<Arc<[u8]>>) {
    let _ = said.send(word.into());
    if manner != Manner::Parrot {
        return;
    }
    for at in 0..100 {
        let mut changed = word.to_vec();
        let place = at % changed.len();
        changed[place] ^= 1 << (at % 8);
        for again in [word, &changed, &word[..place]] {
            let _ = said.send(again.into());
        }
    }
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// One command: an array of byte strings.
async fn command<R: AsyncBufReadExt + Unpin>(from: &mut R) -> Option<Vec<Vec<u8>>> {
    let words = number(from).await?;
    let mut command = Vec::new();
    for _ in 0..words {
        let mut word = vec![0; number(from).await? + 2];
        from.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        command.push(word);
    }
    (!command.is_empty()).then_some(command)
}

async fn number<R: AsyncBufReadExt + Unpin>(from: &mut R) -> Option<usize> {
    let mut line = String::new();
    from.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    line.trim_end().get(1..)?.parse().ok()
}
