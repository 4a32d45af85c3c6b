//! Programs at random: grown by the grammar, or from another program by small changes.

/// Random numbers that a seed fixes (xorshift).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % n.max(1)
    }

    pub(crate) fn one_of<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Words, numbers, strings, comments, blanks and single symbols.
pub(crate) fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let run = |f: &dyn Fn(&u8) -> bool| bytes[at..].iter().take_while(|b| f(b)).count();
        let len = match bytes[at] {
            b if word(&b) => run(&word),
            b' ' => run(&|b| *b == b' '),
            b'#' => run(&|b| *b != b'\n'),
            b'"' => {
                let line = run(&|b| *b != b'\n');
                let close = bytes[at + 1..at + line].iter().position(|b| *b == b'"');
                close.map_or(1, |i| i + 2)
            }
            _ => 1,
        };
        let mut end = at + len;
        while !text.is_char_boundary(end) {
            end += 1;
        }
        tokens.push(&text[at..end]);
        at = end;
    }
    tokens
}

const POOL: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ";",
    "\n",
    " ",
    "|>",
    "..",
    "...",
    "=",
    ":",
    "->",
    "@",
    "-",
    "not ",
    "^",
    "%",
    "0",
    "1",
    "-1",
    "1e-3",
    "9999999999",
    "64%",
    "\"a\"",
    "none",
    "true",
    "B",
    "if ",
    "else ",
    "scan ",
    "param ",
    "state ",
    "require ",
    "penalize ",
    "step ",
    "draw ",
    "when ",
    "# note\n",
    "## note\n",
    "x",
    "relu",
    "Dense",
    "softmax",
    "mse",
    "Adam",
    ",\n",
    "\n\n",
    "/",
    "*",
    "and ",
    "prob",
    "class[3]",
    "token[5]",
    "é",
    "\u{1}",
    "\t",
    "\\",
    "'",
    "?",
];

/// `text` with a few tokens dropped, doubled, swapped, wrapped or taken from elsewhere.
pub(crate) fn mutate(text: &str, other: &str, dice: &mut Dice) -> String {
    let mut tokens = tokens(text);
    let foreign = self::tokens(other);
    for _ in 0..1 + dice.below(4) {
        if tokens.is_empty() {
            break;
        }
        let at = dice.below(tokens.len());
        let to = dice.below(tokens.len());
        match dice.below(9) {
            0 => {
                tokens.remove(at);
            }
            1 => tokens.insert(at, tokens[to]),
            2 => tokens.swap(at, to),
            3 => tokens[at] = tokens[to],
            4 => tokens.insert(at, dice.one_of(POOL)),
            5 if !foreign.is_empty() => tokens[at] = foreign[dice.below(foreign.len())],
            6 => {
                let end = (at + dice.below(12)).min(tokens.len());
                let run: Vec<&str> = tokens[at..end].to_vec();
                let to = dice.below(tokens.len());
                tokens.splice(to..to, run);
            }
            7 => {
                let end = (at + 1 + dice.below(6)).min(tokens.len());
                tokens.insert(end, dice.one_of(&[")", ",)", ",\n)", "]", " }"]));
                tokens.insert(at, dice.one_of(&["(", "((", "[", "{ ", "f("]));
            }
            _ => {
                let end = (at + dice.below(8)).min(tokens.len());
                tokens.drain(at..end);
            }
        }
    }
    tokens.concat()
}

/// What may stand between any two tokens of a program where a line may end.
const GAPS: &[&str] = &[
    "# one\n",
    "\n# two\n",
    "  # three\n\n",
    "\n\n\n",
    "\n  # four\n# five\n\n",
    "\n\n      # six # seven\n",
    "#\n",
    "\n",
];

/// `text` with a few comments and blank lines between its tokens.
pub(crate) fn scatter(text: &str, dice: &mut Dice) -> String {
    let mut tokens = tokens(text);
    let first = dice.below(tokens.len() + 1);
    tokens.insert(first, dice.one_of(GAPS));
    for _ in 0..dice.below(4) {
        // Some near the first, so that they meet.
        let at = match dice.chance(50) {
            true => (first + dice.below(9)).min(tokens.len()),
            false => dice.below(tokens.len() + 1),
        };
        tokens.insert(at, dice.one_of(GAPS));
    }
    tokens.concat()
}

/// A program of the grammar; most of its names mean nothing.
pub(crate) fn grow(dice: &mut Dice) -> String {
    let mut text = String::new();
    for _ in 0..1 + dice.below(4) {
        if dice.chance(30) {
            text += "# note\n";
        }
        if dice.chance(10) {
            text += dice.one_of(&[
                "@alias(a)\n",
                "@every_optimizer ",
                "@fixes(kernel, \"a\")\n",
            ]);
        }
        text += &declaration(dice);
        text += dice.one_of(&["\n", "\n\n", "  # at its end\n", "\n\n\n"]);
    }
    text
}

fn declaration(dice: &mut Dice) -> String {
    let name = name(dice);
    match dice.below(6) {
        0 => format!("const {name} = {}", expr(dice, 4)),
        1 => {
            let (list, body) = (params(dice), block(dice, 3));
            format!("fn {name}({list}) {body}")
        }
        2 => {
            let (first, second, body) = (params(dice), params(dice), block(dice, 3));
            format!("layer {name}({first})({second}) -> [.., {name}] {body}")
        }
        3 => format!("model {name}(x: [4]) -> prob[3] {}", block(dice, 4)),
        4 => {
            let items = several(dice, 5, |d| match d.below(5) {
                0 => format!("source csv(\"{}.csv\")", self::name(d)),
                1 => format!("column {} : class[3] = {}", self::name(d), d.below(9)),
                2 => format!("fit {} = {}", self::name(d), expr(d, 2)),
                3 => format!("input {} : [4] = {}", self::name(d), expr(d, 2)),
                _ => format!("target {} : prob[3]", self::name(d)),
            });
            format!("data {name} {}", braces(dice, &items))
        }
        _ => {
            let items = several(dice, 5, |d| match d.below(5) {
                0 => format!("loss {}", list(d, 2)),
                1 => format!("optimizer {}", expr(d, 2)),
                2 => format!("metrics {}", list(d, 1)),
                3 => format!("epochs {}", d.below(50)),
                _ => format!("report {}", list(d, 1)),
            });
            format!(
                "train {name} on {} {}",
                self::name(dice),
                braces(dice, &items)
            )
        }
    }
}

fn several(dice: &mut Dice, most: usize, mut one: impl FnMut(&mut Dice) -> String) -> Vec<String> {
    (0..1 + dice.below(most)).map(|_| one(dice)).collect()
}

fn braces(dice: &mut Dice, items: &[String]) -> String {
    if dice.chance(40) {
        return format!("{{ {} }}", items.join("; "));
    }
    let mut text = String::from("{\n");
    for item in items {
        if dice.chance(15) {
            text += "  # above\n";
        }
        text += &" ".repeat(dice.below(6));
        text += item;
        text += dice.one_of(&["\n", "\n", "\n\n", " # beside\n"]);
    }
    text + "}"
}

fn name(dice: &mut Dice) -> String {
    let long = "a_name_that_is_rather_long_for_a_name";
    dice.one_of(&["a", "b", "x", "Dense", "relu", "kernel", "width", long])
        .to_owned()
}

fn params(dice: &mut Dice) -> String {
    let params = several(dice, 4, |d| {
        let name = name(d);
        match d.below(4) {
            0 => name,
            1 => format!("{name}: [.., n]"),
            2 => format!("{name}: int = {}", expr(d, 1)),
            _ => format!("{name} = {}", expr(d, 2)),
        }
    });
    params.join(", ")
}

fn block(dice: &mut Dice, depth: usize) -> String {
    let mut items = several(dice, 3, |d| match d.below(5) {
        0 => format!("{} = {}", name(d), expr(d, depth)),
        1 => format!("param {}: [n, 4] = {}", name(d), expr(d, 1)),
        2 => format!("require {}, \"must be\"", expr(d, 2)),
        3 => format!("penalize {}", expr(d, 2)),
        _ => format!("{} += {}", name(d), expr(d, 2)),
    });
    items.push(expr(dice, depth));
    braces(dice, &items)
}

fn list(dice: &mut Dice, depth: usize) -> String {
    several(dice, 9, |d| expr(d, depth)).join(", ")
}

/// Arguments between brackets, at random over several lines or with a comma at their end.
fn arguments(dice: &mut Dice, depth: usize, named: bool) -> String {
    let gap = if dice.chance(20) { "\n" } else { "" };
    let args = several(dice, 4, |d| {
        let value = expr(d, depth);
        if named && d.chance(30) {
            format!("{} = {value}", name(d))
        } else {
            value
        }
    });
    let end = if dice.chance(20) { "," } else { "" };
    format!("{gap}{}{end}{gap}", args.join(&format!(", {gap}")))
}

fn expr(dice: &mut Dice, depth: usize) -> String {
    if depth == 0 || dice.chance(15) {
        let leaf = ["1", "0.5", "1e-3", "64%", "\"a text\"", "true", "none"];
        return if dice.chance(50) {
            name(dice)
        } else {
            dice.one_of(&leaf).to_owned()
        };
    }
    let depth = depth - 1;
    match dice.below(12) {
        0 => format!("({})", arguments(dice, depth, true)),
        1 => format!("[{}]", arguments(dice, depth, false)),
        2 => format!("{}({})", name(dice), arguments(dice, depth, true)),
        3 => format!("(({}),)", expr(dice, depth)),
        4 => format!("-{}", expr(dice, depth)),
        5 => format!("{}[{}, ..]", name(dice), expr(dice, depth)),
        6 => format!("({}).{}", expr(dice, depth), name(dice)),
        7 => {
            let (then, other) = (block(dice, depth.min(1)), block(dice, depth.min(1)));
            format!("(if {} {then} else {other})", name(dice))
        }
        8 | 9 => {
            let stages = several(dice, 6, |d| {
                let gap = d.one_of(&[" ", " ", "\n   "]);
                format!("{gap}|> {}({})", name(d), arguments(d, depth.min(1), true))
            });
            format!("({}{})", expr(dice, depth), stages.concat())
        }
        _ => {
            let op = dice.one_of(&["+", "-", "*", "@", "^", "/", "and", "..", "<"]);
            let (a, b) = (expr(dice, depth), expr(dice, depth));
            format!("({a}) {op} ({b})")
        }
    }
}
