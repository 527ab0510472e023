//! HTTP/1.1 as the generator speaks it: one request, then its answer.

use super::Fault;
use crate::message;

/// Where a connection is in an answer.
#[derive(Debug, Default)]
pub(crate) struct Http1 {
    /// What has come of a head that is not whole.
    head: Vec<u8>,
    /// Bytes of the body still to come.
    body: Option<u64>,
}

impl Http1 {
    /// Takes bytes of an answer; says whether it is whole.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let Some(left) = self.body else {
            return self.receive_head(bytes);
        };
        let left = left.checked_sub(bytes.len() as u64);
        let left = left.ok_or(Fault("more bytes than the answer has"))?;
        self.body = (left > 0).then_some(left);
        Ok(usize::from(left == 0))
    }

    fn receive_head(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        // Most heads come in one piece; only others are collected.
        let collected = !self.head.is_empty();
        if collected {
            self.head.extend_from_slice(bytes);
        }
        let all = if collected { &self.head[..] } else { bytes };
        let Some(end) = message::head_end(all) else {
            if !collected {
                self.head.extend_from_slice(bytes);
            }
            return Ok(0);
        };
        if !all.starts_with(b"HTTP/1.1 200 ") {
            return Err(Fault("a status other than 200"));
        }
        let length = message::content_length(&all[..end]);
        let Ok(Some(length)) = length else {
            return Err(Fault("an answer without content-length"));
        };
        let body = (all.len() - end) as u64;
        self.head.clear();
        if body > length {
            return Err(Fault("more bytes than the answer has"));
        }
        self.body = (body < length).then_some(length - body);
        Ok(usize::from(body == length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_however_it_is_cut() {
        let mut answer = message::answer_head(40, message::Content::Dots).into_bytes();
        answer.extend([b'.'; 40]);
        for cut in 1..answer.len() {
            let mut connection = Http1::default();
            for _ in 0..2 {
                assert_eq!(connection.receive(&answer[..cut]), Ok(0));
                assert_eq!(connection.receive(&answer[cut..]), Ok(1));
            }
        }
    }

    #[test]
    fn another_status_is_a_fault() {
        let mut connection = Http1::default();
        let refused =
            connection.receive(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(refused, Err(Fault("a status other than 200")));
    }
}
