//! Thumbnails of images, made when they are asked for, off the runtime's threads, and kept for a while.

use std::io::Cursor;

use bytes::Bytes;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, imageops::FilterType};
use olmstead_storage::media::MediaInfo;

use super::download::{Access, find};
use crate::{Context, Refusal, Result, ServiceError, accounts::passwords::off_thread, caches::ThumbnailKey};

/// The most pixels of an image that is made smaller.
const MAX_PIXELS: u64 = 64 * 1024 * 1024;
/// The most memory a decoder may take, bytes.
const MAX_MEMORY: u64 = 512 * 1024 * 1024;
/// The largest side of a thumbnail that is asked for; larger wishes count as this.
const MAX_SIDE: u32 = 2048;

/// How the image gets to its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The wanted aspect ratio, parts of the image cut off.
    Crop,
    /// The aspect ratio of the image, no side smaller than wanted.
    Scale,
}

/// A wish for a thumbnail.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// How.
    pub method: Method,
    /// Whether it may move.
    pub animated: bool,
}

/// A thumbnail.
#[derive(Debug, Clone)]
pub struct Thumbnail {
    /// Its content type.
    pub content_type: &'static str,
    /// Its bytes.
    pub content: Bytes,
}

/// The thumbnail of an image: the image itself if it is not larger than wanted, never a larger one.
///
/// # Errors
/// Those of a download; `InvalidParam` for a size of nothing; [`Refusal::TooLarge`] for images that are too large to
/// work on, [`Refusal::Unknown`] for what is no image that can be read.
pub async fn thumbnail(
    cx: &Context,
    server: &str,
    media_id: &str,
    wish: Wish,
    wait_ms: u64,
    access: Access,
) -> Result<Thumbnail> {
    if wish.width == 0 || wish.height == 0 {
        return Err(ServiceError::invalid_param("width and height must be more than 0."));
    }
    let wish = Wish { width: wish.width.min(MAX_SIDE), height: wish.height.min(MAX_SIDE), ..wish };
    let info: MediaInfo = find(cx, server, media_id, wait_ms, access).await?;
    if info.content_type.as_deref().is_some_and(|kind| !kind.trim_start().to_ascii_lowercase().starts_with("image/")) {
        return Err(cannot());
    }
    let key = ThumbnailKey {
        media_id: media_id.to_owned(),
        width: wish.width,
        height: wish.height,
        method: wish.method,
        animated: wish.animated,
    };
    if let Some(known) = cx.caches.thumbnails.get(&key) {
        return Ok(known);
    }
    let content = cx.storage.media_content(media_id).await?.ok_or_else(super::unknown)?;
    let made = off_thread(cx, move || make(content, wish)).await??;
    cx.caches.thumbnails.insert(key, made.clone());
    Ok(made)
}

fn make(content: Bytes, wish: Wish) -> Result<Thumbnail> {
    let format = image::guess_format(&content).map_err(|_| cannot())?;
    let content_type = match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Gif => "image/gif",
        ImageFormat::WebP => "image/webp",
        _ => return Err(cannot()),
    };
    let mut reader = ImageReader::with_format(Cursor::new(content.clone()), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(too_large());
    }
    let small = width <= wish.width && height <= wish.height;
    if small && (wish.animated || !may_move(&content, format)) {
        return Ok(Thumbnail { content_type, content });
    }
    let orientation = decoder.orientation().ok();
    let mut image = DynamicImage::from_decoder(decoder).map_err(unreadable)?;
    if let Some(orientation) = orientation {
        image.apply_orientation(orientation);
    }
    encode(resize(image, wish), format)
}

/// Makes thumbnails of whatever these bytes are, and checks them: for fuzzers.
#[doc(hidden)]
pub fn fuzz(data: &[u8]) {
    for (width, height, method, animated) in [(32, 32, Method::Crop, false), (7, 300, Method::Scale, true)] {
        if let Ok(made) = make(Bytes::copy_from_slice(data), Wish { width, height, method, animated }) {
            assert!(made.content_type.starts_with("image/") && !made.content.is_empty());
        }
    }
}

/// Whether an image of this format may have more than one frame.
fn may_move(content: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::Gif => true,
        // An animated WebP has a chunk ANIM, an animated PNG one of acTL before its data.
        ImageFormat::WebP => content.windows(4).any(|chunk| chunk == b"ANIM"),
        ImageFormat::Png => content.windows(4).any(|chunk| chunk == b"acTL"),
        _ => false,
    }
}

/// Never larger than the image, and no side smaller than wanted where the image allows.
fn resize(image: DynamicImage, wish: Wish) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    match wish.method {
        Method::Crop if width >= wish.width && height >= wish.height => {
            image.resize_to_fill(wish.width, wish.height, FilterType::Triangle)
        }
        Method::Scale if width > wish.width && height > wish.height => {
            let (width, height) = cover((width, height), (wish.width, wish.height));
            image.resize_exact(width, height, FilterType::Triangle)
        }
        _ => image,
    }
}

/// The smallest size with the aspect ratio of `from` that covers `wanted`.
fn cover(from: (u32, u32), wanted: (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(from.0), u64::from(from.1));
    let (wanted_width, wanted_height) = (u64::from(wanted.0), u64::from(wanted.1));
    let size = |side: u64| u32::try_from(side.max(1)).unwrap_or(u32::MAX);
    // Compares wanted_width / width with wanted_height / height without leaving the integers.
    if wanted_width * height >= wanted_height * width {
        (wanted.0, size((height * wanted_width).div_ceil(width.max(1))))
    } else {
        (size((width * wanted_height).div_ceil(height.max(1))), wanted.1)
    }
}

/// JPEG stays JPEG; what may be transparent becomes PNG.
fn encode(image: DynamicImage, from: ImageFormat) -> Result<Thumbnail> {
    let (image, format, content_type) = if from == ImageFormat::Jpeg {
        (image.to_rgb8().into(), ImageFormat::Jpeg, "image/jpeg")
    } else {
        (DynamicImage::from(image.to_rgba8()), ImageFormat::Png, "image/png")
    };
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).map_err(|error| ServiceError::Internal(error.to_string()))?;
    Ok(Thumbnail { content_type, content: bytes.into_inner().into() })
}

fn unreadable(error: image::ImageError) -> ServiceError {
    match error {
        image::ImageError::Limits(_) => too_large(),
        _ => cannot(),
    }
}

fn cannot() -> ServiceError {
    ServiceError::refused(Refusal::Unknown, "There are no thumbnails of this content.")
}

fn too_large() -> ServiceError {
    ServiceError::refused(Refusal::TooLarge, "The image is too large to make a thumbnail of.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn png(width: u32, height: u32) -> Bytes {
        encode(DynamicImage::new_rgba8(width, height), ImageFormat::Png).unwrap().content
    }

    fn size(thumbnail: &Thumbnail) -> (u32, u32) {
        let image = image::load_from_memory(&thumbnail.content).unwrap();
        (image.width(), image.height())
    }

    fn wish(width: u32, height: u32, method: Method) -> Wish {
        Wish { width, height, method, animated: false }
    }

    #[test]
    fn scaling_keeps_the_ratio_and_covers_the_wish() {
        assert_eq!(size(&make(png(400, 200), wish(100, 100, Method::Scale)).unwrap()), (200, 100));
        assert_eq!(size(&make(png(200, 400), wish(100, 100, Method::Scale)).unwrap()), (100, 200));
    }

    #[test]
    fn cropping_gives_the_size_wanted() {
        assert_eq!(size(&make(png(400, 200), wish(32, 32, Method::Crop)).unwrap()), (32, 32));
    }

    #[test]
    fn nothing_is_made_larger() {
        let small = png(20, 10);
        for method in [Method::Crop, Method::Scale] {
            assert_eq!(make(small.clone(), wish(96, 96, method)).unwrap().content, small);
            assert_eq!(size(&make(png(400, 10), wish(96, 96, method)).unwrap()), (400, 10));
        }
    }

    #[test]
    fn ciphertext_has_no_thumbnail() {
        let error = make(Bytes::from_static(&[7; 64]), wish(32, 32, Method::Crop)).unwrap_err();
        assert!(matches!(error, ServiceError::Refused { refusal: Refusal::Unknown, .. }));
    }
}
