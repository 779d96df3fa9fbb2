//! The scanner on a pickle that is all opcodes and on a large PyTorch file, beside picklescan.
//!
//! The pickle is what Python would write of small dictionaries, about 26 MB; the PyTorch file holds 268 MB of
//! tensors. Every figure is a median over rounds, the file being in the page cache. What the scanner allocates
//! is counted, its own read buffer included.
//!
//! `TIDEGATE_BENCH_ROUNDS` sets the rounds, 11 otherwise. picklescan, which takes its time once, is left out
//! unless `TIDEGATE_BENCH_TOOLS` names a directory with a Python that has it:
//!
//! ```sh
//! python3 -m venv target/tools
//! target/tools/bin/pip install picklescan==1.0.5
//! TIDEGATE_BENCH_TOOLS=target/tools/bin cargo bench --bench scan
//! ```
#![expect(clippy::print_stdout, reason = "a bench talks to its user")]
#![expect(clippy::disallowed_methods, reason = "a bench measures real time and takes its size from outside")]

mod figures;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use peak_alloc::PeakAlloc;
use tidegate::validation::{Verdict, scan::Scanner};

use self::figures::{Figure, Sheet};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Dictionaries in the pickle.
const ITEMS: u32 = 700_000;
/// Tensors of the PyTorch file, of 4 MiB each.
const TENSORS: u32 = 64;
/// picklescan's time and processor seconds for one file, start and imports left out, and the most memory that it had.
const PICKLESCAN: &str = "
import resource, sys, time
from picklescan.scanner import scan_file_path
start, cpu = time.perf_counter(), time.process_time()
result = scan_file_path(sys.argv[1])
assert not result.scan_err and not result.issues_count
took, cpu = time.perf_counter() - start, time.process_time() - cpu
print(took, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
";

fn main() -> Result<()> {
    // Under `cargo test` only whether it works is of interest.
    let in_earnest = std::env::args().any(|argument| argument == "--bench");
    let rounds = std::env::var("TIDEGATE_BENCH_ROUNDS").map_or(Ok(11), |number| number.parse())?;
    let (rounds, share) = if in_earnest { (rounds, 1) } else { (1, 64) };
    let folder = tempfile::tempdir()?;
    let pickle = folder.path().join("dense.pkl");
    write(&pickle, |file| dense(file, ITEMS / share))?;
    let of_pickle = report("opcode-dense pickle, read to its last byte", &pickle, rounds)?;
    let torch = folder.path().join("model.pt");
    write(&torch, |file| zip(file, TENSORS / share))?;
    let of_torch = report("PyTorch file, of which the tensors are not read", &torch, rounds)?;
    if !in_earnest {
        return Ok(());
    }
    let beside = |ours, theirs: Option<f64>| {
        theirs.map_or_else(|| Figure::of(ours), |theirs| Figure::of(ours).beside(theirs))
    };
    let mut sheet = Sheet::of("scan");
    let [seconds, memory] = [|took: &Took| took.seconds, |took: &Took| took.memory];
    let (ours, theirs) = &of_pickle;
    let bytes = pickle.metadata()?.len() as f64;
    let rate = |took: &Took| bytes / took.seconds;
    let what = "scan a pickle of 26 MB that is all opcodes";
    sheet.say(what, beside(rate(ours), theirs.as_ref().map(rate)));
    let what = "memory for a pickle of 26 MB that is all opcodes";
    sheet.say(what, beside(memory(ours), theirs.as_ref().map(memory)));
    let (ours, theirs) = &of_torch;
    let what = "scan a PyTorch file of 268 MB, every header of it";
    sheet.say(what, beside(seconds(ours), theirs.as_ref().map(seconds)));
    sheet.close()
}

/// What a scan took.
struct Took {
    seconds: f64,
    /// Bytes at most.
    memory: f64,
}

/// Prints what a scan of `path` took, and what picklescan takes.
fn report(name: &str, path: &Path, rounds: usize) -> Result<(Took, Option<Took>)> {
    let mut took = Vec::new();
    let mut peak = 0.0_f32;
    for _ in 0..rounds {
        let before = MEMORY.current_usage_as_mb();
        MEMORY.reset_peak_usage();
        let start = Instant::now();
        let found = Scanner::new().scan_path(path)?;
        took.push(start.elapsed().as_secs_f64());
        peak = peak.max(MEMORY.peak_usage_as_mb() - before);
        ensure!(found.verdict == Verdict::Pass, "it is harmless, and came out as {found:?}");
    }
    took.sort_by(f64::total_cmp);
    let (took, bytes) = (took[took.len() / 2], path.metadata()?.len());
    let megabytes = bytes as f64 / 1e6;
    println!("{name}, {megabytes:.1} MB, median of {rounds} rounds:");
    println!("  scan        {:10.3} ms, {:.0} MB/s, {peak:.1} MB of memory", took * 1e3, megabytes / took);
    let ours = Took { seconds: took, memory: f64::from(peak) * 1e6 };
    let Some(tools) = std::env::var_os("TIDEGATE_BENCH_TOOLS") else {
        println!("  without picklescan: set TIDEGATE_BENCH_TOOLS to a directory with a python that has it");
        return Ok((ours, None));
    };
    let output =
        Command::new(Path::new(&tools).join("python")).args(["-c", PICKLESCAN]).arg(path).output()?;
    ensure!(output.status.success(), "picklescan: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    let mut seconds = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || seconds.next().context("picklescan's three numbers")?.context("a number of seconds");
    let (wall, cpu, memory) = (next()?, next()?, next()?);
    println!(
        "  picklescan  {:10.3} ms, {:.3} s of processor, {:.1} MB of memory, {:.1} times as long",
        wall * 1e3,
        cpu,
        memory / 1e6,
        wall / took
    );
    Ok((ours, Some(Took { seconds: wall, memory })))
}

fn write(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> Result<()>) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    content(&mut file)?;
    file.flush()?;
    Ok(())
}

/// A list of dictionaries, as `pickle.dumps(…, 4)` writes them, without frames.
fn dense(file: &mut impl Write, items: u32) -> Result<()> {
    const KEYS: [&str; 5] = ["id", "key", "pair", "flag", "none"];
    file.write_all(b"\x80\x04]\x94")?;
    // The list is 0, and the keys of the first dictionary are looked up by the others.
    let key = |file: &mut dyn Write, number: usize| match number {
        0 => file.write_all(b"h\x02"),
        1 => file.write_all(b"h\x03"),
        2 => file.write_all(b"h\x04"),
        3 => file.write_all(b"h\x05"),
        _ => file.write_all(b"h\x06"),
    };
    for (number, name) in KEYS.iter().enumerate() {
        if number == 0 {
            file.write_all(b"(}\x94")?;
        }
        file.write_all(&[0x8c, u8::try_from(name.len())?])?;
        file.write_all(name.as_bytes())?;
        file.write_all(b"\x94")?;
    }
    file.write_all(b"1")?;
    for batch in 0..items / 1000 {
        file.write_all(b"(")?;
        for item in batch * 1000..(batch + 1) * 1000 {
            let text = format!("k{item}");
            file.write_all(b"}\x94(")?;
            key(file, 0)?;
            file.write_all(b"J")?;
            file.write_all(&item.to_le_bytes())?;
            key(file, 1)?;
            file.write_all(&[0x8c, u8::try_from(text.len())?])?;
            file.write_all(text.as_bytes())?;
            file.write_all(b"\x94")?;
            key(file, 2)?;
            file.write_all(&[b'K', (item % 7) as u8, b'K', (item % 250) as u8, 0x86, 0x94])?;
            key(file, 3)?;
            file.write_all(if item % 2 == 0 { b"\x88" } else { b"\x89" })?;
            key(file, 4)?;
            file.write_all(b"Nu")?;
        }
        file.write_all(b"e")?;
    }
    Ok(file.write_all(b".")?)
}

/// What `torch.save` writes of a state: a stored pickle, and the raw bytes of tensors.
fn zip(file: &mut impl Write, tensors: u32) -> Result<()> {
    let pickle = b"\x80\x02ccollections\nOrderedDict\nq\0)Rq\x01.".to_vec();
    let mut rng = fastrand::Rng::with_seed(7);
    let members = [("m/data.pkl".to_owned(), pickle), ("m/version".to_owned(), b"3\n".to_vec())];
    let tensors = (0..tensors).map(|number| {
        let mut bytes = vec![0; 4 << 20];
        rng.fill(&mut bytes);
        (format!("m/data/{number}"), bytes)
    });
    let (mut central, mut offset, mut count) = (Vec::new(), 0_u32, 0_u16);
    for (name, content) in members.into_iter().chain(tensors) {
        let len = u32::try_from(content.len())?.to_le_bytes();
        let name_len = u16::try_from(name.len())?.to_le_bytes();
        // Checksums are not read, by PyTorch neither.
        let fields =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &len, &len, &name_len, &[0; 2]].concat();
        let header = [b"PK\x03\x04".as_slice(), &fields, name.as_bytes()].concat();
        file.write_all(&header)?;
        file.write_all(&content)?;
        central.extend([b"PK\x01\x02\x14\x03".as_slice(), &fields, &[0; 10], &offset.to_le_bytes()].concat());
        central.extend(name.as_bytes());
        offset += u32::try_from(header.len() + content.len())?;
        count += 1;
    }
    file.write_all(&central)?;
    file.write_all(b"PK\x05\x06\0\0\0\0")?;
    let (count, size) = (count.to_le_bytes(), u32::try_from(central.len())?.to_le_bytes());
    file.write_all(&[&count[..], &count, &size, &offset.to_le_bytes(), &[0; 2]].concat())?;
    Ok(())
}
