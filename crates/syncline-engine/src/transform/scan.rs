//! Reads templates as far as planning needs it: where expressions start and end, which names they use, and whether an
//! operator meets a value it would treat inexactly. Evaluation, and all syntax errors within expressions, are minijinja's.

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word that is no keyword.
    Name,
    /// `and`, `or`, `if`, … but `in`, which is an operator.
    Keyword,
    /// A number or a quoted text.
    Literal,
    /// `(`, `[`, `{`
    Open,
    /// `)`, `]`, `}`
    Close,
    /// `|`
    Pipe,
    /// `.`
    Dot,
    /// Comparison and arithmetic, `in`. Not `~`, which joins the exact texts.
    Operator,
    /// Anything else.
    Other,
}

/// A token of an expression.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    /// Byte offset in the template.
    pub at: usize,
}

/// A part of a template.
#[derive(Debug)]
pub enum Piece<'a> {
    /// Text between expressions.
    Literal(&'a str),
    /// The inside of `{{ … }}`.
    Expression { code: &'a str, at: usize, tokens: Vec<Token<'a>> },
}

/// Where a template is broken, and how.
pub type Broken = (usize, &'static str);

/// Splits a template.
pub fn pieces(template: &str) -> Result<Vec<Piece<'_>>, Broken> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = template[at..].find('{').map(|i| at + i) {
        match template.as_bytes().get(open + 1) {
            Some(b'{') => {
                if open > at {
                    out.push(Piece::Literal(&template[at..open]));
                }
                let (piece, next) = expression(template, open + 2)?;
                out.push(piece);
                at = next;
            }
            Some(b'%') => return Err((open, "statements are not available in fields")),
            Some(b'#') => return Err((open, "comments are not available in fields")),
            _ => {
                out.push(Piece::Literal(&template[at..=open]));
                at = open + 1;
            }
        }
    }
    if at < template.len() {
        out.push(Piece::Literal(&template[at..]));
    }
    Ok(out)
}

fn expression(template: &str, start: usize) -> Result<(Piece<'_>, usize), Broken> {
    let (mut at, mut depth, mut tokens) = (start, 0usize, Vec::new());
    if template[start..].starts_with(['-', '+']) {
        return Err((start, "white space control is not available in fields"));
    }
    loop {
        at += template[at..].len() - template[at..].trim_start().len();
        if depth == 0 && template[at..].starts_with("}}") {
            return Ok((Piece::Expression { code: &template[start..at], at: start, tokens }, at + 2));
        }
        let Some(token) = next_token(template, at)? else { return Err((start, "an expression without its closing `}}`")) };
        match token.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth = depth.checked_sub(1).ok_or((at, "a closing bracket without its opening one"))?,
            _ => {}
        }
        at += token.text.len();
        tokens.push(token);
    }
}

fn next_token(template: &str, at: usize) -> Result<Option<Token<'_>>, Broken> {
    let rest = &template[at..];
    let Some(first) = rest.chars().next() else { return Ok(None) };
    let while_ = |f: fn(char) -> bool| rest.find(|c| !f(c)).unwrap_or(rest.len());
    let (kind, len) = match first {
        '\'' | '"' => (Kind::Literal, quoted(rest, first).ok_or((at, "a text without its closing quote"))?),
        '0'..='9' => (Kind::Literal, number(rest)),
        c if c.is_alphabetic() || c == '_' => {
            let len = while_(|c| c.is_alphanumeric() || c == '_');
            (word(&rest[..len]), len)
        }
        '(' | '[' | '{' => (Kind::Open, 1),
        ')' | ']' | '}' => (Kind::Close, 1),
        '|' => (Kind::Pipe, 1),
        '.' => (Kind::Dot, 1),
        '+' | '%' => (Kind::Operator, 1),
        '-' if rest.starts_with("-}}") => return Err((at, "white space control is not available in fields")),
        '-' => (Kind::Operator, 1),
        '*' | '/' | '=' | '<' | '>' | '!' => {
            let two = ["**", "//", "==", "!=", "<=", ">="].iter().any(|op| rest.starts_with(op));
            let single = if first == '=' { Kind::Other } else { Kind::Operator };
            if two { (Kind::Operator, 2) } else { (single, 1) }
        }
        c => (Kind::Other, c.len_utf8()),
    };
    Ok(Some(Token { kind, text: &rest[..len], at }))
}

fn word(text: &str) -> Kind {
    match text {
        "in" => Kind::Operator,
        "and" | "or" | "not" | "is" | "if" | "else" | "true" | "false" | "none" | "True" | "False" | "None" => Kind::Keyword,
        _ => Kind::Name,
    }
}

fn quoted(rest: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (i, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(i + 1),
            _ => {}
        }
    }
    None
}

/// Digits and at most one point that has a digit behind it: `1.5`, but `1` of `1.x`.
fn number(rest: &str) -> usize {
    let digits = |s: &str| s.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(s.len());
    let whole = digits(rest);
    let tail = &rest[whole..];
    let fraction = tail.strip_prefix('.').filter(|f| f.starts_with(|c: char| c.is_ascii_digit()));
    fraction.map_or(whole, |f| whole + 1 + digits(f))
}

/// What role a name plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A source column.
    Column,
    /// Behind `|`.
    Filter,
    /// Behind `is`.
    Test,
    /// Before `(`.
    Function,
    /// Behind `.`.
    Member,
    /// Behind `.`, before `(`.
    Method,
    /// Before `=`.
    Argument,
}

/// The role of the name at `i`.
pub fn role(tokens: &[Token<'_>], i: usize) -> Role {
    let before = |n: usize| i.checked_sub(n).map(|j| tokens[j]);
    let next = tokens.get(i + 1).map(|t| t.text);
    match before(1) {
        Some(t) if t.kind == Kind::Pipe => Role::Filter,
        Some(t) if t.kind == Kind::Dot && next == Some("(") => Role::Method,
        Some(t) if t.kind == Kind::Dot => Role::Member,
        Some(t) if t.text == "is" => Role::Test,
        Some(t) if t.text == "not" && before(2).is_some_and(|t| t.text == "is") => Role::Test,
        _ if next == Some("(") => Role::Function,
        _ if next == Some("=") => Role::Argument,
        _ => Role::Column,
    }
}

/// The index behind the bracket that closes the one at `open`.
pub fn behind_group(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0usize;
    for (i, t) in tokens.iter().enumerate().skip(open) {
        match t.kind {
            Kind::Open => depth += 1,
            Kind::Close => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    tokens.len()
}

/// Stands in the list of [`filters`] for `.member` and `[item]`.
pub const MEMBER: &str = ".";

/// The filters and members applied from token `i` on, and the index behind them.
pub fn filters<'a>(tokens: &[Token<'a>], mut i: usize) -> (Vec<&'a str>, usize) {
    let mut names = Vec::new();
    loop {
        match &tokens[i.min(tokens.len())..] {
            [sign, name, ..] if sign.kind == Kind::Pipe && name.kind == Kind::Name => {
                names.push(name.text);
                i += 2;
                if tokens.get(i).is_some_and(|t| t.text == "(") {
                    i = behind_group(tokens, i);
                }
            }
            [sign, name, ..] if sign.kind == Kind::Dot && name.kind == Kind::Name => {
                names.push(MEMBER);
                i += 2;
            }
            [open, ..] if open.text == "[" => {
                names.push(MEMBER);
                i = behind_group(tokens, i);
            }
            _ => return (names, i),
        }
    }
}

/// The operator that takes the value starting at token `i` as an operand, when behind its filters that value is still
/// exact without being native, as `is_exact` says. Values inside brackets are followed outwards; inside a filter's arguments any operator counts.
pub fn operator_on<'t, 'a>(tokens: &'t [Token<'a>], i: usize, is_exact: impl Fn(&[&str]) -> bool) -> Option<&'t Token<'a>> {
    let (names, mut end) = filters(tokens, i + 1);
    if !is_exact(&names) {
        return None;
    }
    let mut start = i;
    loop {
        let before = start.checked_sub(1).map(|j| &tokens[j]);
        let next = tokens.get(end);
        if let Some(op) = [before, next].into_iter().flatten().find(|t| t.kind == Kind::Operator) {
            return Some(op);
        }
        let open = enclosing(tokens, start)?;
        let call = open.checked_sub(1).filter(|&j| tokens[j].kind == Kind::Name);
        if let Some(name) = call
            && role(tokens, name) == Role::Filter
        {
            let converts = !is_exact(&[tokens[name].text]);
            return if converts { None } else { tokens.iter().find(|t| t.kind == Kind::Operator) };
        }
        start = call.unwrap_or(open);
        let close = behind_group(tokens, open);
        let (names, behind) = filters(tokens, close);
        if !is_exact(&names) {
            return None;
        }
        end = behind;
    }
}

fn enclosing(tokens: &[Token<'_>], i: usize) -> Option<usize> {
    let mut depth = 0usize;
    for j in (0..i).rev() {
        match tokens[j].kind {
            Kind::Close => depth += 1,
            Kind::Open if depth == 0 => return Some(j),
            Kind::Open => depth -= 1,
            _ => {}
        }
    }
    None
}
