//! A real table: benign and malignant tumours of the Wisconsin breast-cancer set (W. H. Wolberg, W. N. Street,
//! O. L. Mangasarian; UCI, CC BY 4.0), with what SciPy 1.17.1 finds in it. `data/golden.py` makes both.

use std::path::PathBuf;

use tidegate_validation::{
    Reason, Verdict,
    drift::{Binning, Column, DriftGate, Kind, Reading, Summary, Value},
};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/drift/data", name].iter().collect()
}

fn read(name: &str) -> Summary {
    Summary::open(data(name), &Reading::default()).unwrap()
}

/// Of each column D, W₁, W₁ in deviations, PSI and the Jensen–Shannon distance in nats, both by the deciles of the
/// benign ones.
const GOLDEN: [(&str, [f64; 5]); 6] = [
    ("mean radius", [0.728621637, 5.316306379, 2.990021367, 3.908826764, 0.578158558]),
    ("mean texture", [0.471803816, 3.691446541, 0.925284665, 1.200933529, 0.367224763]),
    ("mean smoothness", [0.344115004, 0.010525605, 0.783899865, 0.841702747, 0.305204494]),
    ("mean symmetry", [0.309774853, 0.018722968, 0.755812008, 0.673582096, 0.279085534]),
    ("texture error", [0.099096242, 0.082729942, 0.140612533, 0.100800918, 0.111312242]),
    ("worst concavity", [0.728159188, 0.284827227, 2.031998116, 4.560315996, 0.597147114]),
];

#[test]
fn effects_are_those_that_scipy_finds() {
    let (benign, malignant) = (read("benign.csv"), read("malignant.csv"));
    assert_eq!((benign.rows(), malignant.rows(), benign.columns().count()), (357, 212, 6));
    for (name, golden) in GOLDEN {
        let compared =
            benign.column(name).unwrap().compare(malignant.column(name).unwrap(), Binning::Deciles).unwrap();
        let (gaps, histogram) = (compared.gaps.unwrap(), compared.histogram.unwrap());
        let found = [
            gaps.kolmogorov_smirnov,
            gaps.wasserstein,
            gaps.wasserstein_normed,
            histogram.psi(),
            histogram.jensen_shannon_nats(),
        ];
        for (found, golden) in found.into_iter().zip(golden) {
            assert!((found - golden).abs() < 2e-8, "{name}: {found} is not {golden}");
        }
    }
}

#[test]
fn what_differs_drifts_and_what_may_be_chance_is_said_to() {
    let (benign, malignant) = (read("benign.csv"), read("malignant.csv"));
    let found = DriftGate::default().compare_summaries(&benign, &malignant, &Default::default());
    let verdicts: Vec<_> = found
        .by_effect()
        .into_iter()
        .map(|feature| (feature.name.as_str(), feature.verdict.clone()))
        .collect();
    assert_eq!(verdicts[0], ("mean radius", Verdict::Fail));
    assert_eq!(verdicts[5], ("texture error", Verdict::Inconclusive(Reason::MayBeChance)));
    assert!(verdicts[..5].iter().all(|(_, verdict)| *verdict == Verdict::Fail));
    assert!((found.strain().unwrap() - 31.317_455_486).abs() < 1e-6);
    assert_eq!(found.headline(), "5 of 6 features have drifted, 1 undecided");
    // Two halves of the benign ones have not.
    let mut halves = [benign.emptied(), benign.emptied()];
    let text = std::fs::read_to_string(data("benign.csv")).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    for (row, line) in text.lines().skip(1).enumerate() {
        halves[row % 2].push(names.iter().copied().zip(line.split(',').map(Value::Text)));
    }
    let gate = DriftGate { numeric_limit: 0.25, ..DriftGate::default() };
    assert_eq!(gate.compare_summaries(&halves[0], &halves[1], &Default::default()).verdict(), Verdict::Pass);
    let [mut whole, other] = halves;
    whole.merge(&other).unwrap();
    assert_eq!(whole, benign);
}

#[cfg(feature = "parquet")]
mod parquet {
    use std::fs;

    use super::*;

    #[test]
    fn parquet_is_what_csv_is() {
        assert_eq!(read("benign.parquet"), read("benign.csv"));
        let only = Reading { columns: [("mean radius".to_owned(), None)].into(), ..Reading::default() };
        let radius = Summary::open(data("benign.parquet"), &only).unwrap();
        assert_eq!(radius.columns().map(|(name, _)| name).collect::<Vec<_>>(), ["mean radius"]);
        // Rows of both, and of a column that Parquet lacks.
        let mut both = Summary::new([("mean radius", Column::numeric()), ("other", Column::text())]);
        both.read(data("benign.parquet")).unwrap();
        both.read(data("malignant.csv")).unwrap();
        assert_eq!((both.rows(), both.column("other").unwrap().missing()), (569, 569));
    }

    #[test]
    fn values_of_every_type_are_what_they_say() {
        let table = read("kinds.parquet");
        let left_out: Vec<_> = table.left_out().collect();
        assert_eq!(left_out, [("at", Kind::Time), ("tags.list.element", Kind::Nested)]);
        let range = |name: &str| match table.column(name).unwrap() {
            Column::Numeric(column) => (column.range().unwrap(), column.missing()),
            column => panic!("{name} is {column:?}"),
        };
        assert_eq!(range("small"), ((0.0, 177.0), 1));
        assert_eq!(range("unsigned"), ((4_294_967_236.0, 4_294_967_295.0), 0));
        assert_eq!(range("single"), ((0.0, 14.75), 0));
        assert_eq!(range("price"), ((-30.25, 29.25), 0));
        assert_eq!(range("user.age"), ((20.0, 59.0), 0));
        let counts = |name: &str| match table.column(name).unwrap() {
            Column::Categorical(column) => (
                column.categories().map(|(name, n)| (name.to_owned(), n)).collect::<Vec<_>>(),
                column.missing(),
            ),
            column => panic!("{name} is {column:?}"),
        };
        let named = |pairs: &[(&str, u64)]| {
            pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>()
        };
        assert_eq!(counts("flag"), (named(&[("false", 29), ("true", 30)]), 1));
        assert_eq!(counts("name"), (named(&[("de", 20), ("fr", 19), ("it", 20)]), 1));
    }

    #[test]
    fn every_encoding_is_read_in_either_version_of_pages() {
        let table = read("deltas-1.parquet");
        assert_eq!(table, read("deltas-2.parquet"));
        for (name, range) in [("step", (-497.0, 1_297.0)), ("ratio", (0.125, 74.875))] {
            let Column::Numeric(column) = table.column(name).unwrap() else { panic!("{name}") };
            assert_eq!((column.range(), column.count(), column.missing()), (Some(range), 514, 86), "{name}");
        }
        for (name, different, first) in [("code", 3, ("de", 171)), ("page", 10, ("shop/a/page-0", 51))] {
            let Column::Categorical(column) = table.column(name).unwrap() else { panic!("{name}") };
            assert_eq!((column.categories().count(), column.missing()), (different, 86), "{name}");
            assert_eq!(column.categories().min(), Some(first), "{name}");
        }
    }

    #[test]
    fn damaged_files_are_refused_and_not_believed() {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("damaged.parquet");
        let mut random = fastrand::Rng::with_seed(7);
        let mut refused = 0;
        for name in ["benign.parquet", "kinds.parquet", "deltas-1.parquet", "deltas-2.parquet"] {
            let sound = fs::read(data(name)).unwrap();
            for turn in 0..150 {
                let mut bytes = sound.clone();
                match turn % 3 {
                    0 => bytes.truncate(random.usize(4..bytes.len())),
                    // In the footer and in the pages.
                    1 => (0..8).for_each(|_| {
                        *random.choice(bytes.iter_mut().rev().take(2_000)).unwrap() = random.u8(..)
                    }),
                    _ => (0..8).for_each(|_| *random.choice(bytes.iter_mut()).unwrap() = random.u8(..)),
                }
                fs::write(&path, bytes).unwrap();
                refused += u32::from(Summary::open(&path, &Reading::default()).is_err());
            }
        }
        assert!(refused > 300, "{refused}");
    }
}
