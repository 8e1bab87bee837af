//! Standard output that holds nobody up. Who reads the log may stand still, and its pipe fill up: then lines are dropped, and
//! counted, as those who log also answer neighbours, prove that they live, and decide.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;
use serde_json::json;

/// Who reads may take a moment when much is said at once: so long, all in all, in each [`SPELL`].
const PATIENCE: Duration = Duration::from_millis(50);
const SPELL: Duration = Duration::from_secs(1);
/// A pipe that has room for anything has room for so much (`PIPE_BUF`, `pipe(7)`): it is taken without waiting.
const PART: usize = 4096;

/// Writes whole lines.
pub(super) struct Sink<O> {
    output: O,
    /// Lines since it stood still.
    dropped: u64,
    /// A line has only begun.
    is_torn: bool,
    /// What is left of it in this spell.
    patience: Duration,
    spell: Instant,
}

impl<O: AsFd> Sink<O> {
    pub(super) fn to(output: O) -> Self {
        Self { output, dropped: 0, is_torn: false, patience: PATIENCE, spell: Instant::now() }
    }

    fn has_room_within(&self, patience: Duration) -> bool {
        let mut output = [PollFd::new(self.output.as_fd(), PollFlags::POLLOUT)];
        let timeout = PollTimeout::try_from(patience).unwrap_or(PollTimeout::ZERO);
        loop {
            match poll(&mut output, timeout) {
                Ok(0) => return false,
                Err(Errno::EINTR) => {}
                // Where it cannot be told, as where nobody will ever read, writing says so.
                Ok(_) | Err(_) => return true,
            }
        }
    }

    fn has_room(&mut self) -> bool {
        if self.has_room_within(Duration::ZERO) {
            return true;
        }
        if self.spell.elapsed() >= SPELL {
            (self.patience, self.spell) = (PATIENCE, Instant::now());
        }
        // Who has lost lines already may lose more.
        if self.dropped > 0 || self.patience < Duration::from_millis(1) {
            return false;
        }
        let begun = Instant::now();
        let has_room = self.has_room_within(self.patience);
        self.patience = self.patience.saturating_sub(begun.elapsed());
        has_room
    }

    /// Says whether all of it went. What cannot be written at all, because nobody is there any more, counts as gone.
    fn put(&mut self, text: &[u8]) -> bool {
        let mut has_begun = false;
        for part in text.chunks(PART) {
            let mut left = part;
            while !left.is_empty() {
                let written = if self.has_room() { write(&self.output, left) } else { Err(Errno::EAGAIN) };
                match written {
                    Ok(count) => {
                        left = left.get(count..).unwrap_or_default();
                        has_begun = true;
                    }
                    Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => {
                        self.is_torn |= has_begun;
                        return false;
                    }
                    Err(_) => return true,
                }
            }
        }
        true
    }

    /// The line, and before it how many are missing.
    fn resuming(&self, line: &[u8]) -> Vec<u8> {
        let end = if self.is_torn { "\n" } else { "" };
        let missing = json!({
            "ts": format!("{:.3}", Timestamp::now()),
            "level": "warn",
            "event": "linesDropped",
            "count": self.dropped,
            "msg": "whoever reads the log stood still",
        });
        [format!("{end}{missing}\n").as_bytes(), line].concat()
    }
}

impl<O: AsFd> io::Write for Sink<O> {
    /// A line, which counts as dropped unless all of it goes: of a long one that may be the end.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let has_gone = if self.dropped > 0 { self.put(&self.resuming(line)) } else { self.put(line) };
        if has_gone {
            (self.dropped, self.is_torn) = (0, false);
        } else {
            self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeReader, Read as _, Write as _, pipe};
    use std::sync::mpsc::{self, RecvTimeoutError};

    use serde_json::Value;

    use super::*;

    /// What waits in a pipe, or the first 64 KiB of it.
    fn read_some(reader: &mut PipeReader) -> Vec<u8> {
        let mut some = vec![0; 64 * 1024];
        let length = reader.read(&mut some).unwrap();
        some.truncate(length);
        some
    }

    fn read_all(mut text: Vec<u8>, mut reader: PipeReader) -> Vec<String> {
        reader.read_to_end(&mut text).unwrap();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn who_reads_nothing_holds_nobody_up_and_hears_later_how_much_is_missing() {
        const LINES: u64 = 10_000;
        let (mut reader, writer) = pipe().unwrap();
        let mut sink = Sink::to(writer);
        let begun = Instant::now();
        for n in 0..LINES {
            sink.write_all(format!("{}\n", json!({ "n": n, "text": "x".repeat(80) })).as_bytes()).unwrap();
        }
        assert!(begun.elapsed() < 20 * PATIENCE, "{:?}", begun.elapsed());
        let text = read_some(&mut reader);
        sink.write_all(b"{\"n\":10000}\n").unwrap();
        drop(sink);
        let read = read_all(text, reader);
        let read: Vec<Value> = read.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let (dropped, said): (Vec<_>, Vec<_>) = read.iter().partition(|line| line["event"] == "linesDropped");
        assert_eq!(dropped.len(), 1);
        assert_eq!(dropped[0]["count"].as_u64().unwrap() + said.len() as u64, LINES + 1);
        assert!(said.len() > 500, "what there is room for is not lost");
        assert_eq!(said.last().unwrap()["n"], 10_000);
    }

    #[test]
    fn who_reads_slowly_holds_up_nobody_for_longer_than_that() {
        let (mut reader, writer) = pipe().unwrap();
        let (stop, stopped) = mpsc::channel::<()>();
        let slow = std::thread::spawn(move || {
            let mut some = [0; PART];
            // A page at a time.
            while stopped.recv_timeout(PATIENCE / 2) == Err(RecvTimeoutError::Timeout) {
                let _ = reader.read(&mut some).unwrap();
            }
            reader // what was not read is not lost before the lines were written
        });
        let mut sink = Sink::to(writer);
        let begun = Instant::now();
        for _ in 0..2000 {
            sink.write_all(format!("{}\n", "x".repeat(1000)).as_bytes()).unwrap();
        }
        // Two megabytes would take twelve seconds.
        assert!(begun.elapsed() < 20 * PATIENCE, "{:?}", begun.elapsed());
        drop(stop);
        drop(slow.join().unwrap());
    }

    #[test]
    fn a_long_line_arrives_whole() {
        let (reader, writer) = pipe().unwrap();
        let mut sink = Sink::to(writer);
        let long = "x".repeat(30_000);
        sink.write_all(format!("{long}\n").as_bytes()).unwrap();
        drop(sink);
        assert_eq!(read_all(Vec::new(), reader), [long]);
    }

    #[test]
    fn what_follows_a_line_that_only_began_is_a_line_of_its_own() {
        let (mut reader, writer) = pipe().unwrap();
        let mut sink = Sink::to(writer);
        sink.write_all(format!("{}\n", "x".repeat(100_000)).as_bytes()).unwrap();
        let text = read_some(&mut reader);
        sink.write_all(b"next\n").unwrap();
        drop(sink);
        let read = read_all(text, reader);
        assert_eq!(read.len(), 3);
        assert!(read[1].contains("linesDropped") && read[2] == "next", "{:?}", &read[1..]);
    }

    #[test]
    fn nobody_there_is_no_error() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let mut sink = Sink::to(writer);
        sink.write_all(b"anybody?\n").unwrap();
        sink.write_all(b"no\n").unwrap();
    }
}
