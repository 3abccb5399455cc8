//! What goes through a host call, as bytes: equal bytes are equal values, NaN and all.
//!
//! Numbers are little-endian, floats by their bits, lengths and indices `u32`, a variant is its case's number and
//! content. Nothing names a field: what a call takes and gives is frozen with its version of the WIT package.

use std::sync::Arc;

use wasmtime::component::Resource;

/// A value that can be recorded.
pub(crate) trait Recorded: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);
    /// Takes it off the front; `None` if that is something else.
    fn take(from: &mut &[u8]) -> Option<Self>;

    /// Appends several, one after the other.
    fn put_all(values: &[Self], out: &mut Vec<u8>) {
        values.iter().for_each(|value| value.put(out));
    }

    /// Takes so many off the front.
    fn take_all(count: u32, from: &mut &[u8]) -> Option<Vec<Self>> {
        // Not reserved at once: the length may be a lie.
        (0..count).map(|_| Self::take(from)).collect()
    }
}

/// The bytes of one value.
pub(crate) fn bytes_of(value: &impl Recorded) -> Vec<u8> {
    let mut out = Vec::new();
    value.put(&mut out);
    out
}

/// Appends a value as the list of its bytes, as [`bytes_of`] and then `put` would, without the list in between.
pub(crate) fn put_bytes_of(value: &impl Recorded, out: &mut Vec<u8>) {
    let at = out.len();
    put_len(0, out);
    let begin = out.len();
    value.put(out);
    let len = len_of(out.len() - begin);
    out[at..begin].copy_from_slice(&len.to_le_bytes());
}

/// The value of these bytes, all of them.
pub(crate) fn value_of<T: Recorded>(mut bytes: &[u8]) -> Option<T> {
    let value = T::take(&mut bytes)?;
    bytes.is_empty().then_some(value)
}

fn front<'a>(from: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (front, rest) = from.split_at_checked(count)?;
    *from = rest;
    Some(front)
}

impl Recorded for u8 {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let (first, rest) = from.split_first()?;
        *from = rest;
        Some(*first)
    }

    // All at once: what plugins and their calls hand over is bytes for the most part.
    fn put_all(values: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(values);
    }

    fn take_all(count: u32, from: &mut &[u8]) -> Option<Vec<Self>> {
        Some(front(from, count as usize)?.to_vec())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Recorded for $number {
            fn put(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let bytes = front(from, size_of::<Self>())?;
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}

numbers!(u32, u64, f64);

impl Recorded for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

fn put_len(len: usize, out: &mut Vec<u8>) {
    len_of(len).put(out);
}

fn len_of(len: usize) -> u32 {
    // What a call may copy is far below.
    u32::try_from(len).unwrap_or(u32::MAX)
}

macro_rules! texts {
    ($($text:ty),*) => {$(
        impl Recorded for $text {
            fn put(&self, out: &mut Vec<u8>) {
                put_len(self.len(), out);
                out.extend_from_slice(self.as_bytes());
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                let len = u32::take(from)? as usize;
                Some(std::str::from_utf8(front(from, len)?).ok()?.into())
            }
        }
    )*};
}

texts!(String, Arc<str>);

impl<T: Recorded> Recorded for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        put_len(self.len(), out);
        T::put_all(self, out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let len = u32::take(from)?;
        T::take_all(len, from)
    }
}

impl<T: Recorded> Recorded for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(match bool::take(from)? {
            true => Some(T::take(from)?),
            false => None,
        })
    }
}

impl<T: Recorded, E: Recorded> Recorded for Result<T, E> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_ok().put(out);
        match self {
            Ok(value) => value.put(out),
            Err(error) => error.put(out),
        }
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(match bool::take(from)? {
            true => Ok(T::take(from)?),
            false => Err(E::take(from)?),
        })
    }
}

/// A handle is the number that it has on the host.
impl<T: 'static> Recorded for Resource<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.rep().put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Self::new_own(u32::take(from)?))
    }
}

impl Recorded for () {
    fn put(&self, _out: &mut Vec<u8>) {}

    fn take(_from: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),*))*) => {$(
        impl<$($name: Recorded),*> Recorded for ($($name,)*) {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$at.put(out);)*
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(($($name::take(from)?,)*))
            }
        }
    )*};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
}

/// A record is its fields, one after the other.
macro_rules! recorded_fields {
    ($($name:ty { $($field:ident),* $(,)? })*) => {$(
        impl $crate::tape::Recorded for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::tape::Recorded::put(&self.$field, out);)*
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self {
                    $($field: $crate::tape::Recorded::take(from)?,)*
                })
            }
        }
    )*};
}
pub(crate) use recorded_fields;

/// A variant is the number of its case, and its content if it has one.
macro_rules! recorded_cases {
    ($name:ty { $($number:literal $case:ident $(($content:ident))?),* $(,)? }) => {
        impl $crate::tape::Recorded for $name {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$case $(($content))? => {
                        out.push($number);
                        $($crate::tape::Recorded::put($content, out);)?
                    })*
                }
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(match <u8 as $crate::tape::Recorded>::take(from)? {
                    $($number => Self::$case $(({
                        let $content = $crate::tape::Recorded::take(from)?;
                        $content
                    }))?,)*
                    _ => return None,
                })
            }
        }
    };
}
pub(crate) use recorded_cases;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Error, Goal, Guarded, Object, Pose, Quaternion, Snapshot, Target, Vec3};

    fn pose() -> Pose {
        Pose {
            position: Vec3 {
                x: f64::NAN,
                y: -0.0,
                z: 1e-320,
            },
            orientation: Quaternion {
                x: 0.0,
                y: f64::INFINITY,
                z: 0.5,
                w: 1.0,
            },
        }
    }

    /// What comes back has the same bytes, and one byte less is nothing.
    fn check<T: Recorded>(value: &T) {
        let bytes = bytes_of(value);
        let back: T = value_of(&bytes).expect("it comes back");
        assert_eq!(bytes_of(&back), bytes);
        for cut in 0..bytes.len() {
            assert!(value_of::<T>(&bytes[..cut]).is_none(), "{cut}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(value_of::<T>(&longer).is_none());
    }

    #[test]
    fn values_come_back_bit_for_bit() {
        check(&(7_u64, "pick".to_owned(), Some(true)));
        check(&(vec![1_u8, 2], None::<u32>));
        for target in [
            Target::Joints(vec![0.1; 7]),
            Target::Pose(pose()),
            Target::Guarded(Guarded {
                to: pose(),
                force: 3.0,
            }),
            Target::Named("home".to_owned()),
        ] {
            check(&(Goal {
                target,
                speed: 0.5,
                acceleration: f64::NAN,
            },));
        }
        let object = Object {
            id: 7,
            class: "block".into(),
            color: "red".into(),
            pose: pose(),
            velocity: pose().position,
            size: pose().position,
            confidence: 0.9,
            position_sigma: 0.001,
            first_seen: 4,
            last_seen: 12,
            place: "".into(),
        };
        check(&Ok::<_, Error>(Snapshot {
            tick: 3,
            objects: vec![object.clone(), object],
        }));
        for error in [
            Error::Denied("no".to_owned()),
            Error::Cancelled,
            Error::failed("no-grasp", "gone"),
            Error::unavailable("", ""),
        ] {
            check(&Err::<(), _>(error));
        }
        check(&(
            Resource::<Pose>::new_own(9),
            vec![Resource::<Pose>::new_own(1)],
        ));
    }

    #[test]
    fn a_value_written_in_place_is_the_list_of_its_bytes() {
        let value = (7_u64, "pick".to_owned(), Some(pose().position));
        let mut in_place = vec![1];
        put_bytes_of(&value, &mut in_place);
        let mut with_list = vec![1];
        bytes_of(&value).put(&mut with_list);
        assert_eq!(in_place, with_list);
    }

    #[test]
    fn lies_about_lengths_and_cases_are_nothing() {
        assert!(value_of::<Vec<u8>>(&[255, 255, 255, 255, 1]).is_none());
        assert!(value_of::<Vec<()>>(&[1, 0, 0]).is_none());
        assert!(value_of::<String>(&[2, 0, 0, 0, 0xff, 0xfe]).is_none());
        assert!(value_of::<bool>(&[2]).is_none());
        assert!(value_of::<Error>(&[9]).is_none());
    }
}
