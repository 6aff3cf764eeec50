//! Another asynchronous implementation, which is made for tokio, and a pipe of tokio.

use super::FitfulSink;
use crate::sources::{blocks, car, raw, small};
use carstone_car::{
    AsyncCarReader, AsyncCarWriter, Block, CarBytes, ChannelOptions, Cid, Result, TokioIo,
    car_channel, cid_of, codec,
};
use futures::executor::block_on;
use futures::{StreamExt, TryStreamExt, join, try_join};
use tokio::io::AsyncReadExt;

fn sample() -> (Vec<Cid>, Vec<Block>) {
    let mut all = small().1;
    all.extend([0, 1, 1000, 100_000, 1 << 20].map(|len| raw(&vec![len as u8; len])));
    (vec![all[0].cid, cid_of(codec::DAG_CBOR, b"absent")], all)
}

fn tokio_runs<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// What the other implementation reads.
async fn read_by_others(
    source: impl tokio::io::AsyncRead + Send + Unpin,
) -> (Vec<Cid>, Vec<Block>) {
    let reader = iroh_car::CarReader::new(source).await.expect("header");
    let roots = reader.header().roots().to_vec();
    let block = |block: std::result::Result<_, _>| {
        let (cid, data) = block.expect("block");
        Block { cid, data }
    };
    (roots, reader.stream().map(block).collect().await)
}

#[test]
fn another_implementation_reads_what_is_written() {
    let (roots, all) = sample();
    let bytes = block_on(async {
        let sink = FitfulSink::new(vec![0, 5000, 0, 10]);
        let mut writer = AsyncCarWriter::new(sink, &roots).expect("header");
        for block in &all {
            writer.write_block(&block.cid, &block.data).await.expect("block");
        }
        writer.finish().await.expect("finish").taken
    });
    assert!(block_on(read_by_others(&bytes[..])) == (roots, all));
}

#[test]
fn another_implementation_reads_from_a_channel() {
    let (roots, all) = sample();
    let (mut sender, bytes) = car_channel(&roots, ChannelOptions::default()).expect("header");
    let put = async {
        for block in &all {
            sender.put(&block.cid, &block.data).await?.expect("written");
        }
        sender.close()
    };
    let (found, put) = block_on(async { join!(read_by_others(TokioIo::new(bytes)), put) });
    put.expect("taken");
    assert!(found == (roots, all));
}

#[test]
fn what_another_implementation_writes_is_read() {
    let (roots, all) = sample();
    let (near, far) = tokio::io::duplex(1000);
    let write = async {
        let header = iroh_car::CarHeader::new_v1(roots.clone());
        let mut writer = iroh_car::CarWriter::new(header, near);
        for block in &all {
            writer.write(block.cid, &block.data).await.expect("block");
        }
        writer.finish().await.expect("finish"); // And with it the end of the pipe.
    };
    let read = async {
        let reader = AsyncCarReader::open(TokioIo::new(far)).await?;
        let roots = reader.roots().to_vec();
        Ok((roots, reader.try_collect::<Vec<_>>().await?))
    };
    let (found, ()): (Result<_>, ()) = tokio_runs(async { join!(read, write) });
    assert!(found.expect("sound") == (roots, all));
}

#[test]
fn a_car_goes_through_a_pipe_of_any_size() {
    let (roots, all) = sample();
    for size in [1, 100, 64 << 10] {
        let all = &all[..if size == 1 { 8 } else { all.len() }];
        let (near, far) = tokio::io::duplex(size);
        let write = async {
            let mut writer = AsyncCarWriter::new(TokioIo::new(near), &roots)?;
            writer.put_many(all.iter().map(Block::as_ref)).await?;
            writer.close().await
        };
        let read = async {
            let reader = AsyncCarReader::open(TokioIo::new(far)).await?;
            assert_eq!(reader.roots(), roots);
            reader.try_collect::<Vec<_>>().await
        };
        let (found, ()) = tokio_runs(async { try_join!(read, write) }).expect("sound");
        assert!(found == all);
    }
}

#[test]
fn a_pipe_that_breaks_is_an_error() {
    let (near, far) = tokio::io::duplex(100);
    drop(far);
    let result = tokio_runs(async {
        AsyncCarWriter::new(TokioIo::new(near), &[])?.write_data(codec::RAW, b"x").await
    });
    let error = std::io::Error::from(result.expect_err("nobody reads"));
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn adapters_lead_both_ways() {
    // A source and a sink of `futures`, made one of tokio, and back.
    let (roots, all) = sample();
    let bytes = car(&roots, &all);
    let (copied, read) = tokio_runs(async {
        let mut sink = TokioIo::new(FitfulSink::new(vec![0, 3000, 0, 7]));
        let source = futures::io::Cursor::new(bytes.clone());
        let mut source = TokioIo::new(TokioIo::new(TokioIo::new(source)));
        tokio::io::copy(&mut source, &mut sink).await.expect("copied");
        tokio::io::AsyncWriteExt::shutdown(&mut sink).await.expect("closed");
        (sink.into_inner(), source.into_inner().into_inner().into_inner())
    });
    assert!(copied.is_closed && copied.flushed == bytes.len());
    assert!(copied.taken == bytes && read.position() == bytes.len() as u64);
}

#[test]
fn a_channel_is_a_source_for_tokio() {
    async fn all_of(bytes: CarBytes) -> Vec<u8> {
        let mut found = Vec::new();
        TokioIo::new(bytes).read_to_end(&mut found).await.expect("complete");
        found
    }
    let (mut sender, bytes) = car_channel(&[], ChannelOptions::default()).expect("header");
    let put = async {
        sender.put_data(codec::RAW, b"x").await.expect("taken");
        sender.close().expect("open");
    };
    let (found, ()) = tokio_runs(async { join!(all_of(bytes), put) });
    assert_eq!(blocks(&found[..]).expect("sound"), [raw(b"x")]);
}
