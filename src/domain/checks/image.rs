//! Image check: the image is base64 of a complete jpg or png within the limits (doc 2, `image`; assumed: the answer is 5004).

use super::{CheckInput, Finding};
use crate::domain::policy::Check;

const THIS: Check = Check::Image;

pub fn check(input: &CheckInput) -> Finding {
    let Some(photo) = input.photo() else {
        return Finding::unknown(THIS, "there is no image to check");
    };
    match (&photo.fault, photo.format, photo.dimensions) {
        (Some(fault), ..) => {
            Finding::failed(THIS, input.policy.bad_image.clone(), format!("image {fault}"), fault.hint())
                .decided_by("bad_image")
        }
        (None, Some(format), Some((width, height))) => {
            Finding::passed(THIS, format!("{format} of {width} x {height} pixels, {} bytes", photo.bytes))
        }
        _ => Finding::unknown(THIS, "the image was not inspected"),
    }
}
