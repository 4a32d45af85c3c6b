//! Searching among the configurations of a sweep: which trials there are, and how far each
//! is trained. Pure: what is run and kept is the command line's business.
//!
//! ```text
//! space        from places in the unit cube to values of the axes
//! draw         grids, draws by chance, Latin hypercubes, TPE
//! halving      rungs of successive halving and Hyperband
//! plan         what may run next, by what is done
//! importance   how much each axis matters
//! ```
//!
//! Everything follows from the sweep, the seed and the scores: not from the order in which
//! trials end, nor from how many run at once.

pub mod draw;
pub mod halving;
pub mod importance;
pub mod plan;
pub mod space;

pub use plan::{Done, Plan, Results, Trial, Work};
