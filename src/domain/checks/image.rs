//! The image is base64 of a whole jpg or png within the limits (doc 2, `image`; that it is answered 5004 is assumed).

use super::{CheckInput, Finding};
use crate::domain::policy::Check;

const THIS: Check = Check::Image;

pub fn check(case: &CheckInput) -> Finding {
    let Some(photo) = &case.photo else {
        return Finding::unknown(THIS, "there is no image to judge");
    };
    match (&photo.fault, photo.format, photo.dimensions) {
        (Some(fault), ..) => {
            Finding::failed(THIS, case.policy.bad_image.clone(), format!("image {fault}"), fault.hint())
        }
        (None, Some(format), Some((width, height))) => {
            Finding::passed(THIS, format!("{format} of {width} x {height} pixels, {} bytes", photo.bytes))
        }
        _ => Finding::unknown(THIS, "the image was not looked into"),
    }
}
