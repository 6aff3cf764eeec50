//! Where packets belong: group, application and location.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::header::check_value;
use crate::limits::{MAX_LOCATION, MAX_NAME, MAX_SEGMENT};
use crate::packet::MARK_CHARACTER;

/// The name of a group or an application.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// One of this text.
    ///
    /// # Errors
    /// At its byte: it cannot be the value of a header, has a character of `/{}|#`, is `.` or `..`, or is longer than [`MAX_NAME`].
    pub fn new(name: &str) -> Result<Self> {
        check_value(name)?;
        Self::of_value(name)
    }

    /// That of a header, whose line is known to be good.
    pub(crate) fn of_value(name: &str) -> Result<Self> {
        if name.len() > MAX_NAME {
            return Err(Error::new(ErrorKind::NameTooLong).at(MAX_NAME as u64));
        }
        check_name(name, &['/', '{', '}', '|', '#'])?;
        Ok(Self(name.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

/// A coordinate. Its text is the address `//group/app/location`.
///
/// ```
/// use carstone_hppr::Coordinate;
/// let coordinate = Coordinate::new("a-group", "some-app", "our-collection/item")?;
/// assert_eq!(coordinate.to_string(), "//a-group/some-app/our-collection/item");
/// # Ok::<(), carstone_hppr::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinate {
    group: Name,
    app: Name,
    location: Box<str>,
}

impl Coordinate {
    /// One of these.
    ///
    /// # Errors
    /// One of them breaks a rule, at the byte of the address `//group/app/location`: as [`Name::new`]; a location that cannot be the value of a header, is longer than
    /// [`MAX_LOCATION`], or has a segment that is empty, `.` or `..`, has a character of `{}|`, or is longer than [`MAX_SEGMENT`].
    pub fn new(group: &str, app: &str, location: &str) -> Result<Self> {
        let mut at = 2;
        let group = Name::new(group).map_err(|error| error.behind(at))?;
        at += group.as_str().len() as u64 + 1;
        let app = Name::new(app).map_err(|error| error.behind(at))?;
        at += app.as_str().len() as u64 + 1;
        check_value(location).map_err(|error| error.behind(at))?;
        if location.len() > MAX_LOCATION {
            return Err(Error::new(ErrorKind::LocationTooLong).at(at + MAX_LOCATION as u64));
        }
        check_location(location).map_err(|error| error.behind(at))?;
        Ok(Self { group, app, location: location.into() })
    }

    /// One of values of headers, of which the location is checked.
    pub(crate) fn of_parts(group: Name, app: Name, location: Box<str>) -> Self {
        Self { group, app, location }
    }

    /// The group.
    pub fn group(&self) -> &str {
        self.group.as_str()
    }

    /// The application.
    pub fn app(&self) -> &str {
        self.app.as_str()
    }

    /// The location: segments with slashes between them.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// The segments of the location, of which there is one at least.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.location.split('/')
    }

    /// Whether packets there are commands of the protocol, and no content: the application begins with U+1F5A7.
    pub fn is_command(&self) -> bool {
        self.app().starts_with(MARK_CHARACTER)
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "//{}/{}/{}", self.group, self.app, self.location)
    }
}

/// The rules of a location that is a good value of a header.
pub(crate) fn check_location(location: &str) -> Result<()> {
    let mut at = 0;
    for segment in location.split('/') {
        check_segment(segment).map_err(|error| error.behind(at))?;
        at += segment.len() as u64 + 1;
    }
    Ok(())
}

/// The rules of a segment, which has no slash, in a location that is a good value of a header.
pub(crate) fn check_segment(segment: &str) -> Result<()> {
    if segment.is_empty() {
        return Err(Error::new(ErrorKind::EmptySegment).at(0));
    }
    if segment.len() > MAX_SEGMENT {
        return Err(Error::new(ErrorKind::SegmentTooLong).at(MAX_SEGMENT as u64));
    }
    check_name(segment, &['{', '}', '|'])
}

fn check_name(name: &str, forbidden: &[char]) -> Result<()> {
    if let Some(at) = name.find(forbidden) {
        return Err(Error::new(ErrorKind::ForbiddenCharacter).at(at as u64));
    }
    if matches!(name, "." | "..") {
        return Err(Error::new(ErrorKind::DotName).at(0));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(group: &str, app: &str, location: &str, kind: ErrorKind, at: u64) {
        let error = Coordinate::new(group, app, location).expect_err("it is none");
        assert_eq!(error, Error::new(kind).at(at), "{group} {app} {location}");
    }

    #[test]
    fn an_empty_group_app_or_location() {
        refused("", "a", "l", ErrorKind::EmptyValue, 2);
        refused("g", "", "l", ErrorKind::EmptyValue, 4);
        refused("g", "a", "", ErrorKind::EmptyValue, 6);
    }

    #[test]
    fn characters_of_groups_and_apps() {
        for character in ["/", "{", "}", "|", "#"] {
            refused(&format!("gr{character}"), "a", "l", ErrorKind::ForbiddenCharacter, 4);
            refused("g", &format!("é{character}"), "l", ErrorKind::ForbiddenCharacter, 6);
        }
    }

    #[test]
    fn groups_apps_and_segments_that_are_dots() {
        for dots in [".", ".."] {
            refused(dots, "a", "l", ErrorKind::DotName, 2);
            refused("g", dots, "l", ErrorKind::DotName, 4);
            refused("g", "a", dots, ErrorKind::DotName, 6);
            refused("g", "a", &format!("x/{dots}/y"), ErrorKind::DotName, 8);
        }
        Coordinate::new("...", ".a", "l/..x/.y").expect("names with dots");
    }

    #[test]
    fn groups_and_apps_at_the_limit_and_one_over() {
        let most = "é".repeat(MAX_NAME / 2);
        assert_eq!(most.len(), 56);
        Coordinate::new(&most, &most, "l").expect("they fit");
        refused(&format!("{most}x"), "a", "l", ErrorKind::NameTooLong, 2 + 56);
        refused("g", &format!("{most}x"), "l", ErrorKind::NameTooLong, 4 + 56);
    }

    #[test]
    fn segments_that_are_empty() {
        refused("g", "a", "/l", ErrorKind::EmptySegment, 6);
        refused("g", "a", "l/", ErrorKind::EmptySegment, 8);
        refused("g", "a", "l//m", ErrorKind::EmptySegment, 8);
    }

    #[test]
    fn characters_of_segments() {
        for character in ["{", "}", "|"] {
            let location = format!("l/m{character}");
            refused("g", "a", &location, ErrorKind::ForbiddenCharacter, 9);
        }
        Coordinate::new("g", "a", "l/<g>#<a>").expect("a number sign is allowed");
    }

    #[test]
    fn segments_at_the_limit_and_one_over() {
        let most = "x".repeat(MAX_SEGMENT);
        Coordinate::new("g", "a", &format!("{most}/{most}")).expect("they fit");
        refused("g", "a", &format!("y/{most}x"), ErrorKind::SegmentTooLong, 8 + 255);
    }

    #[test]
    fn locations_at_the_limit_and_one_over() {
        let location = vec!["x".repeat(202); 5].join("/");
        let location = &location[..MAX_LOCATION];
        assert_eq!(location.len(), 1014);
        Coordinate::new("g", "a", location).expect("it fits");
        refused("g", "a", &format!("{location}x"), ErrorKind::LocationTooLong, 6 + 1014);
    }

    #[test]
    fn values_keep_the_rules_of_headers() {
        refused(" g", "a", "l", ErrorKind::SecondSpace, 2);
        refused("g", "a\r", "l", ErrorKind::CarriageReturn, 5);
        refused("g", "a", "l\n", ErrorKind::ControlByte, 7);
        refused("g", "a", "x/e\u{301}", ErrorKind::NotNfc, 8);
        assert_eq!(
            Coordinate::new("g ", "a b", " l").map_err(|error| error.offset()),
            Err(Some(9))
        );
    }

    #[test]
    fn apps_that_begin_with_the_mark_are_commands() {
        let coordinate = Coordinate::new("g", "\u{1f5a7}get", "l").expect("it is read");
        assert!(coordinate.is_command());
        assert!(!Coordinate::new("\u{1f5a7}", "a", "l").expect("one").is_command());
    }
}
