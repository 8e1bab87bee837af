//! The memory that the program itself takes: its code and constants, which the kernel maps as they are used and never unmaps
//! unless memory runs short.

use std::ffi::{c_int, c_void};
use std::io;

/// Unmaps the program's code and constants. What is used again is mapped again, from the kernel's copy of the file and sixteen
/// pages at a time; what was needed for the start only is not.
///
/// How many bytes were unmapped, if all of them were there.
pub fn unmap_unused() -> io::Result<usize> {
    let mut unmapped = Ok(0_usize);
    // SAFETY: the callback has the type that is asked for, does not unwind, and gets the pointer to `unmapped`, which outlives
    // the call.
    unsafe { libc::dl_iterate_phdr(Some(unmap), (&raw mut unmapped).cast()) };
    unmapped
}

/// Called for the program first, and then for each library: one that is linked statically has none. A number other than 0
/// ends that.
extern "C" fn unmap(program: *mut libc::dl_phdr_info, _: libc::size_t, unmapped: *mut c_void) -> c_int {
    // SAFETY: the C library gives a description that is valid during the call, and `unmapped` is what `unmap_unused` gave
    // it, which nobody else has meanwhile.
    let (program, unmapped) = unsafe { (&*program, &mut *unmapped.cast::<io::Result<usize>>()) };
    // SAFETY: so many headers are there, as long as the program is loaded.
    let headers = unsafe { std::slice::from_raw_parts(program.dlpi_phdr, usize::from(program.dlpi_phnum)) };
    for header in headers.iter().filter(|it| it.p_type == libc::PT_LOAD && it.p_flags & libc::PF_W == 0) {
        let (Some(from), Some(to)) = (
            within(program.dlpi_addr, header.p_vaddr),
            within(program.dlpi_addr, header.p_vaddr.saturating_add(header.p_memsz)),
        ) else {
            continue;
        };
        // No page has parts of two segments.
        let from = from - from % page_size();
        let length = to.saturating_sub(from);
        // SAFETY: the pages are mapped from the program's file and never written: the segment is none that may be, so what the
        // loader changes is not in it. Unmapped, they come back the same when they are touched, this function's among them.
        let result =
            unsafe { libc::madvise(std::ptr::without_provenance_mut(from), length, libc::MADV_DONTNEED) };
        *unmapped = match (result, std::mem::replace(unmapped, Ok(0))) {
            (_, Err(error)) => Err(error),
            (0, Ok(bytes)) => Ok(bytes + length),
            (_, Ok(_)) => Err(io::Error::last_os_error()),
        };
    }
    1
}

fn page_size() -> usize {
    // SAFETY: sysconf takes a number, and changes nothing.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).ok().filter(|size| *size > 0).unwrap_or(4096) // no system refuses to say
}

fn within(base: u64, offset: u64) -> Option<usize> {
    usize::try_from(base.checked_add(offset)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// KiB of this program's code that are mapped.
    fn mapped() -> usize {
        let program = std::env::current_exe().unwrap();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut is_code = false;
        let mut sum = 0;
        for line in maps.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [_, "r-xp", _, _, _, path] => is_code = program == std::path::Path::new(path),
                [_, rights, _, _, _, ..] if rights.len() == 4 => is_code = false,
                ["Rss:", kib, "kB"] if is_code => sum += kib.parse::<usize>().unwrap(),
                _ => {}
            }
        }
        sum
    }

    #[test]
    fn what_is_not_used_any_more_takes_no_memory_and_the_program_goes_on() {
        let before = mapped();
        let unmapped = unmap_unused().unwrap();
        let after = mapped();
        assert!(unmapped > 0);
        assert!(after < before, "{before} KiB before, {after} KiB after");
    }
}
