/// Formats of disk images that are taken. The others that Glance knows (vmdk, vhd, …) are refused where they
/// are declared, not when a server is to boot from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskFormat {
    Raw,
    Qcow2,
    Iso,
}

impl DiskFormat {
    pub const ALL: [Self; 3] = [Self::Raw, Self::Qcow2, Self::Iso];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Iso => "iso",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// What is around the disk: nothing, here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerFormat {
    Bare,
}

impl ContainerFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bare => "bare",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        (text == "bare").then_some(Self::Bare)
    }
}
