//! Events of the flight buffer, by who made them: a plugin that floods its own hides nothing that the host says of it.

use std::collections::VecDeque;

use crate::event::FlightEvent;

/// Events kept of each origin, whatever their age: chatty plugins cost at most this. It has room for all the refusals that the
/// host tells of one plugin in the longest history.
const EVENTS_MAX: usize = 4_096;

/// Each with its number, by which they are put together again.
type Numbered = VecDeque<(u64, FlightEvent)>;

/// Events, oldest first.
#[derive(Default)]
pub(crate) struct Events {
    kept: u64,
    of_host: Numbered,
    of_plugins: Numbered,
}

impl Events {
    /// Keeps one of the host's, and forgets what happened before `oldest`.
    pub(crate) fn keep(&mut self, event: FlightEvent, oldest: u64) {
        self.kept += 1;
        push(&mut self.of_host, (self.kept, event), oldest);
    }

    /// Keeps one of a plugin's.
    pub(crate) fn keep_of_plugin(&mut self, event: FlightEvent, oldest: u64) {
        self.kept += 1;
        push(&mut self.of_plugins, (self.kept, event), oldest);
    }

    /// Those that are not older, in the order in which they were kept.
    pub(crate) fn since(&self, oldest: u64) -> Vec<FlightEvent> {
        let mut events: Vec<&(u64, FlightEvent)> = (self.of_host.iter())
            .chain(&self.of_plugins)
            .filter(|(_, event)| event.tick >= oldest)
            .collect();
        events.sort_by_key(|(number, _)| *number);
        events.into_iter().map(|(_, event)| event.clone()).collect()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn push(events: &mut Numbered, event: (u64, FlightEvent), oldest: u64) {
    events.push_back(event);
    while events.len() > EVENTS_MAX || events.front().is_some_and(|(_, first)| first.tick < oldest)
    {
        events.pop_front();
    }
}
