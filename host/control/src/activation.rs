//! The way of another safety configuration to the gate, and of the answer back: one at a time.

use sinew_messages::ActivationRefusal;
use sinew_safety::ApprovedLimits;

/// Limits on their way, and back again with what came of it: what was active before is freed by who asked.
struct Parcel {
    limits: Box<ApprovedLimits>,
    result: Result<(), ActivationRefusal>,
}

/// Two ends of the way.
pub(crate) fn way() -> (ActivationDesk, ActivationInbox) {
    let (to_loop, from_desk) = rtrb::RingBuffer::new(1);
    let (to_desk, from_loop) = rtrb::RingBuffer::new(1);
    (
        ActivationDesk {
            to_loop,
            from_loop,
            under_way: false,
        },
        ActivationInbox { from_desk, to_desk },
    )
}

/// Where activations are asked for, beside the tick.
pub struct ActivationDesk {
    to_loop: rtrb::Producer<Parcel>,
    from_loop: rtrb::Consumer<Parcel>,
    under_way: bool,
}

impl ActivationDesk {
    /// Asks for an activation; the next tick answers it. Returns the limits if another one is under way.
    ///
    /// # Errors
    /// The limits, untouched.
    pub fn ask(&mut self, limits: Box<ApprovedLimits>) -> Result<(), Box<ApprovedLimits>> {
        if self.under_way {
            return Err(limits);
        }
        let parcel = Parcel {
            limits,
            // What an answer that never came would mean.
            result: Err(ActivationRefusal::NotStopped),
        };
        match self.to_loop.push(parcel) {
            Ok(()) => {
                self.under_way = true;
                Ok(())
            }
            Err(rtrb::PushError::Full(parcel)) => Err(parcel.limits),
        }
    }

    /// The answer, once it is there.
    pub fn answer(&mut self) -> Option<Result<(), ActivationRefusal>> {
        let parcel = self.from_loop.pop().ok()?;
        self.under_way = false;
        Some(parcel.result)
    }
}

/// The loop's end.
pub(crate) struct ActivationInbox {
    from_desk: rtrb::Consumer<Parcel>,
    to_desk: rtrb::Producer<Parcel>,
}

impl ActivationInbox {
    /// Hands what was asked for to `activate`, and its answer back.
    pub(crate) fn serve(
        &mut self,
        activate: impl FnOnce(&mut ApprovedLimits) -> Result<(), ActivationRefusal>,
    ) {
        if self.to_desk.is_full() {
            return;
        }
        if let Ok(mut parcel) = self.from_desk.pop() {
            parcel.result = activate(&mut parcel.limits);
            // There is room: one is under way at a time, and it was asked above.
            let _ = self.to_desk.push(parcel);
        }
    }
}
