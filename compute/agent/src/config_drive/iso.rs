//! A writer of small ISO 9660 images (ECMA-119) with Joliet names: what a config drive needs, and no more.
//!
//! Primary names are upper case and long (level 2), so that a reader without Joliet, which maps them to lower case,
//! shows the very names that were given; readers with Joliet see them exactly.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};

/// Bytes in a sector (ECMA-119, 6.1.2).
const SECTOR: usize = 2048;
/// Where the volume descriptors begin; the sectors before belong to boot loaders.
const FIRST_DESCRIPTOR: u32 = 16;
/// Primary, Joliet, terminator.
const DESCRIPTORS: u32 = 3;
/// The longest name: Joliet's 64 characters, less room that the primary name's `.` and `;1` take of level 2's.
const MAX_NAME_BYTES: usize = 27;
/// ECMA-119 6.8.2.1: eight levels of folders, the root among them.
const MAX_DEPTH: usize = 8;
/// Folders and files, together; each folder's records must fit into [`MAX_DIRECTORY_SECTORS`].
const DIRECTORY_FLAG: u8 = 2;
const MAX_DIRECTORY_SECTORS: usize = 16;

/// Makes an image of `files` (path with `/` between its parts → content). Files of the same content share it.
///
/// # Errors
/// `InvalidInput`: a name is empty, too long or not made of letters, digits, `-`, `_` and `.`; too many levels; too
/// many files in one folder.
pub fn write(volume_label: &str, files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let tree = Tree::new(files)?;
    let mut next = FIRST_DESCRIPTOR + DESCRIPTORS;
    let primary = Hierarchy::place(&tree, Names::Primary, &mut next)?;
    let joliet = Hierarchy::place(&tree, Names::Joliet, &mut next)?;
    let (extents, end) = place_contents(files, next);
    let mut image = vec![0; end as usize * SECTOR];
    for (descriptor, hierarchy) in [(0, &primary), (1, &joliet)] {
        hierarchy.write(&mut image, &tree, files, &extents);
        let sector = sector_mut(&mut image, FIRST_DESCRIPTOR + descriptor);
        hierarchy.write_descriptor(sector, volume_label, end);
    }
    sector_mut(&mut image, FIRST_DESCRIPTOR + 2)[..7].copy_from_slice(b"\xffCD001\x01");
    for (index, (_, content)) in files.iter().enumerate() {
        let start = extents[index] as usize * SECTOR;
        image[start..start + content.len()].copy_from_slice(content);
    }
    Ok(image)
}

/// The folders, parents before children, each with the names of what is in it.
struct Tree {
    directories: Vec<Directory>,
}

#[derive(Default)]
struct Directory {
    parent: usize,
    name: String,
    entries: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy)]
enum Entry {
    Directory(usize),
    File(usize),
}

impl Tree {
    fn new(files: &[(&str, &[u8])]) -> io::Result<Self> {
        let mut directories = vec![Directory::default()];
        for (file, (path, _)) in files.iter().enumerate() {
            let parts: Vec<&str> = path.split('/').collect();
            if parts.len() > MAX_DEPTH || !parts.iter().all(|part| name_is_good(part)) {
                return Err(io::Error::new(
                    ErrorKind::InvalidInput,
                    format!("'{path}' cannot be on a config drive"),
                ));
            }
            let mut at = 0;
            for part in &parts[..parts.len() - 1] {
                let fresh = directories.len();
                let entry = *directories[at].entries.entry((*part).into()).or_insert(Entry::Directory(fresh));
                let Entry::Directory(child) = entry else { return Err(ErrorKind::InvalidInput.into()) };
                if child == fresh {
                    directories.push(Directory {
                        parent: at,
                        name: (*part).into(),
                        entries: BTreeMap::new(),
                    });
                }
                at = child;
            }
            directories[at].entries.insert(parts[parts.len() - 1].into(), Entry::File(file));
        }
        Ok(Self { directories })
    }

    /// The order that path tables want: by level, then by the parent's number, then by name (ECMA-119, 6.9.1).
    fn in_path_table_order(&self) -> Vec<usize> {
        let mut order = vec![0];
        let mut at = 0;
        while at < order.len() {
            let children = self.directories[order[at]].entries.values();
            order.extend(children.filter_map(|entry| match entry {
                Entry::Directory(child) => Some(*child),
                Entry::File(_) => None,
            }));
            at += 1;
        }
        order
    }
}

fn name_is_good(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.starts_with('.') && name.bytes().all(plain)
}

#[derive(Clone, Copy, PartialEq)]
enum Names {
    Primary,
    Joliet,
}

impl Names {
    fn encode(self, name: &str, is_directory: bool) -> Vec<u8> {
        match self {
            Self::Joliet => name.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Self::Primary if is_directory => name.to_ascii_uppercase().into_bytes(),
            Self::Primary => {
                let dot = if name.contains('.') { "" } else { "." };
                format!("{}{dot};1", name.to_ascii_uppercase()).into_bytes()
            }
        }
    }
}

/// One of the two sets of folders and path tables, and where it lies.
struct Hierarchy {
    names: Names,
    order: Vec<usize>,
    /// Folder → first sector.
    extents: HashMap<usize, u32>,
    /// Folder → length in bytes, whole sectors.
    lengths: HashMap<usize, u32>,
    path_table_bytes: u32,
    path_table_le: u32,
    path_table_be: u32,
}

impl Hierarchy {
    fn place(tree: &Tree, names: Names, next: &mut u32) -> io::Result<Self> {
        let order = tree.in_path_table_order();
        let mut take = |bytes: usize| {
            let start = *next;
            *next += bytes.div_ceil(SECTOR) as u32;
            start
        };
        let path_table_bytes: usize =
            order.iter().map(|&index| path_table_record_bytes(names, &tree.directories[index].name)).sum();
        let (path_table_le, path_table_be) = (take(path_table_bytes), take(path_table_bytes));
        let (mut extents, mut lengths) = (HashMap::new(), HashMap::new());
        for &index in &order {
            let sectors = directory_sectors(names, &tree.directories[index]);
            if sectors > MAX_DIRECTORY_SECTORS {
                return Err(io::Error::new(ErrorKind::InvalidInput, "too many files in one folder"));
            }
            extents.insert(index, take(sectors * SECTOR));
            lengths.insert(index, (sectors * SECTOR) as u32);
        }
        let path_table_bytes = path_table_bytes as u32;
        Ok(Self { names, order, extents, lengths, path_table_bytes, path_table_le, path_table_be })
    }

    fn write(&self, image: &mut [u8], tree: &Tree, files: &[(&str, &[u8])], contents: &[u32]) {
        self.write_path_tables(image, tree);
        for &index in &self.order {
            let directory = &tree.directories[index];
            let mut writer = RecordWriter { image, at: self.extents[&index] as usize * SECTOR };
            writer.push(&[0], self.extents[&index], self.lengths[&index], DIRECTORY_FLAG);
            writer.push(
                &[1],
                self.extents[&directory.parent],
                self.lengths[&directory.parent],
                DIRECTORY_FLAG,
            );
            for (name, entry) in &directory.entries {
                match *entry {
                    Entry::Directory(child) => {
                        let name = self.names.encode(name, true);
                        writer.push(&name, self.extents[&child], self.lengths[&child], DIRECTORY_FLAG);
                    }
                    Entry::File(file) => {
                        let name = self.names.encode(name, false);
                        writer.push(&name, contents[file], files[file].1.len() as u32, 0);
                    }
                }
            }
        }
    }

    /// ECMA-119 9.4, once with the least significant byte first, once with the most.
    fn write_path_tables(&self, image: &mut [u8], tree: &Tree) {
        let number_of: HashMap<usize, u16> = self.order.iter().copied().zip(1..).collect();
        let (mut le, mut be) = (Vec::new(), Vec::new());
        for &index in &self.order {
            let directory = &tree.directories[index];
            let name = if index == 0 { vec![0] } else { self.names.encode(&directory.name, true) };
            let (extent, parent) = (self.extents[&index], number_of[&directory.parent]);
            for (table, extent, parent) in [
                (&mut le, extent.to_le_bytes(), parent.to_le_bytes()),
                (&mut be, extent.to_be_bytes(), parent.to_be_bytes()),
            ] {
                table.extend([name.len() as u8, 0]);
                table.extend(extent);
                table.extend(parent);
                table.extend(&name);
                table.resize(table.len().next_multiple_of(2), 0);
            }
        }
        for (sector, table) in [(self.path_table_le, le), (self.path_table_be, be)] {
            let start = sector as usize * SECTOR;
            image[start..start + table.len()].copy_from_slice(&table);
        }
    }

    /// ECMA-119 8.4 and 8.5; the escape sequence of the latter is Joliet's (UCS-2 level 3).
    fn write_descriptor(&self, sector: &mut [u8], label: &str, volume_sectors: u32) {
        let joliet = self.names == Names::Joliet;
        sector[0] = if joliet { 2 } else { 1 };
        sector[1..7].copy_from_slice(b"CD001\x01");
        let space: Vec<u8> = if joliet { vec![0, b' '] } else { vec![b' '] };
        // System, volume, set, publisher, preparer, application and file identifiers.
        for (start, end) in [(8, 40), (40, 72), (190, 318), (318, 446), (446, 574), (574, 702), (702, 813)] {
            sector[start..end].iter_mut().zip(space.iter().cycle()).for_each(|(to, from)| *to = *from);
        }
        let label: Vec<u8> = if joliet {
            label.encode_utf16().flat_map(u16::to_be_bytes).collect()
        } else {
            label.as_bytes().into()
        };
        let label_bytes = label.len().min(32);
        sector[40..40 + label_bytes].copy_from_slice(&label[..label_bytes]);
        sector[80..88].copy_from_slice(&both_endian_32(volume_sectors));
        if joliet {
            sector[88..91].copy_from_slice(b"%/E");
        }
        for (at, value) in [(120, 1), (124, 1), (128, SECTOR as u16)] {
            sector[at..at + 4].copy_from_slice(&both_endian_16(value));
        }
        sector[132..140].copy_from_slice(&both_endian_32(self.path_table_bytes));
        sector[140..144].copy_from_slice(&self.path_table_le.to_le_bytes());
        sector[148..152].copy_from_slice(&self.path_table_be.to_be_bytes());
        let root = record(&[0], self.extents[&0], self.lengths[&0], DIRECTORY_FLAG);
        sector[156..156 + root.len()].copy_from_slice(&root);
        // Four dates "not specified": sixteen digits zero and a zone (ECMA-119 8.4.26.1).
        for at in [813, 830, 847, 864] {
            sector[at..at + 16].fill(b'0');
        }
        sector[881] = 1;
    }
}

/// Puts directory records one after the other; none crosses a sector's end (ECMA-119, 6.8.1.1).
struct RecordWriter<'a> {
    image: &'a mut [u8],
    at: usize,
}

impl RecordWriter<'_> {
    fn push(&mut self, name: &[u8], extent: u32, length: u32, flags: u8) {
        let record = record(name, extent, length, flags);
        self.at = after_gap(self.at, record.len());
        self.image[self.at..self.at + record.len()].copy_from_slice(&record);
        self.at += record.len();
    }
}

/// ECMA-119 9.1. The date is left zero: not specified.
fn record(name: &[u8], extent: u32, length: u32, flags: u8) -> Vec<u8> {
    let mut record = vec![record_bytes(name.len()) as u8, 0];
    record.extend(both_endian_32(extent));
    record.extend(both_endian_32(length));
    record.extend([0; 7]);
    record.extend([flags, 0, 0]);
    record.extend(both_endian_16(1));
    record.push(name.len() as u8);
    record.extend(name);
    record.resize(record_bytes(name.len()), 0);
    record
}

fn record_bytes(name_bytes: usize) -> usize {
    (33 + name_bytes).next_multiple_of(2)
}

fn after_gap(at: usize, bytes: usize) -> usize {
    if at % SECTOR + bytes > SECTOR { at.next_multiple_of(SECTOR) } else { at }
}

fn directory_sectors(names: Names, directory: &Directory) -> usize {
    let start = 2 * record_bytes(1);
    let end = directory.entries.iter().fold(start, |at, (name, entry)| {
        let bytes = record_bytes(names.encode(name, matches!(entry, Entry::Directory(_))).len());
        after_gap(at, bytes) + bytes
    });
    end.div_ceil(SECTOR)
}

fn path_table_record_bytes(names: Names, name: &str) -> usize {
    (8 + names.encode(name, true).len().max(1)).next_multiple_of(2)
}

/// First sector of each file, and the first sector after all of them.
fn place_contents(files: &[(&str, &[u8])], mut next: u32) -> (Vec<u32>, u32) {
    let mut known: HashMap<&[u8], u32> = HashMap::new();
    let extents = files
        .iter()
        .map(|(_, content)| {
            *known.entry(content).or_insert_with(|| {
                let start = next;
                next += content.len().div_ceil(SECTOR) as u32;
                start
            })
        })
        .collect();
    // An empty file at the very end still points into the volume.
    (extents, next + 1)
}

fn sector_mut(image: &mut [u8], sector: u32) -> &mut [u8] {
    let start = sector as usize * SECTOR;
    &mut image[start..start + SECTOR]
}

/// ECMA-119 7.3.3.
fn both_endian_32(value: u32) -> [u8; 8] {
    let (le, be) = (value.to_le_bytes(), value.to_be_bytes());
    [le[0], le[1], le[2], le[3], be[0], be[1], be[2], be[3]]
}

/// ECMA-119 7.2.3.
fn both_endian_16(value: u16) -> [u8; 4] {
    let (le, be) = (value.to_le_bytes(), value.to_be_bytes());
    [le[0], le[1], be[0], be[1]]
}

#[cfg(test)]
mod tests {
    use super::write;
    use std::process::Command;

    /// Another implementation reads it: `isoinfo`, when it is installed, else the test says that it was left out.
    fn isoinfo(image: &std::path::Path, arguments: &[&str]) -> Option<Vec<u8>> {
        let output = Command::new("isoinfo").arg("-i").arg(image).args(arguments).output().ok()?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(output.stdout)
    }

    #[test]
    fn another_reader_sees_the_names_and_the_content() {
        let many: Vec<(String, Vec<u8>)> =
            (0..100).map(|i| (format!("d/file-{i:03}.json"), vec![i; 3000])).collect();
        let mut files: Vec<(&str, &[u8])> =
            many.iter().map(|(path, content)| (path.as_str(), &content[..])).collect();
        files.push(("openstack/latest/meta_data.json", b"{\"uuid\": 1}"));
        files.push(("openstack/2018-08-27/meta_data.json", b"{\"uuid\": 1}"));
        files.push(("openstack/latest/user_data", b""));
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("config.iso");
        std::fs::write(&image, write("config-2", &files).unwrap()).unwrap();
        let Some(listing) = isoinfo(&image, &["-J", "-f"]) else {
            eprintln!("isoinfo is not installed: nothing was compared");
            return;
        };
        let listing = String::from_utf8(listing).unwrap();
        for (path, content) in &files {
            assert!(listing.lines().any(|line| line == format!("/{path}")), "{path} in {listing}");
            let read = isoinfo(&image, &["-J", "-x", &format!("/{path}")]).unwrap();
            assert_eq!(&read, content, "{path}");
        }
        let plain = String::from_utf8(isoinfo(&image, &["-f"]).unwrap()).unwrap();
        assert!(plain.contains("/OPENSTACK/LATEST/META_DATA.JSON;1"), "{plain}");
        let header = String::from_utf8_lossy(&isoinfo(&image, &["-d"]).unwrap()).into_owned();
        assert!(header.contains("Volume id: config-2"), "{header}");
    }

    #[test]
    fn names_that_would_leave_the_volume_are_refused() {
        for bad in
            ["", "/a", "../a", "a//b", "a/", "ä", "a b", "1/2/3/4/5/6/7/8/9", "a-name-of-twenty-eight-bytes"]
        {
            assert!(write("config-2", &[(bad, b"x")]).is_err(), "{bad}");
        }
        assert!(write("config-2", &[("a", b"x"), ("a/b", b"x")]).is_err());
    }
}
