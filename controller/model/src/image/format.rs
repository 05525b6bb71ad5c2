/// Formats of disk images that are known. All are inspected when data arrives; servers boot from raw, qcow2 and iso.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskFormat {
    Ami,
    Ari,
    Aki,
    Vhd,
    Vhdx,
    Vmdk,
    Raw,
    Qcow2,
    Vdi,
    Iso,
}

impl DiskFormat {
    /// In the order in which the schema lists them.
    pub const ALL: [Self; 10] = [
        Self::Ami,
        Self::Ari,
        Self::Aki,
        Self::Vhd,
        Self::Vhdx,
        Self::Vmdk,
        Self::Raw,
        Self::Qcow2,
        Self::Vdi,
        Self::Iso,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Ari => "ari",
            Self::Aki => "aki",
            Self::Vhd => "vhd",
            Self::Vhdx => "vhdx",
            Self::Vmdk => "vmdk",
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vdi => "vdi",
            Self::Iso => "iso",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// What the content must be found to be. Amazon's machine, ramdisk and kernel images have no container.
    pub fn content(self) -> &'static str {
        match self {
            Self::Ami | Self::Ari | Self::Aki => Self::Raw.as_str(),
            other => other.as_str(),
        }
    }
}

/// What is around the disk. Only bare images, and Amazon's three which are as bare, can be had: what is inside an
/// archive cannot be judged without unpacking it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerFormat {
    Ami,
    Ari,
    Aki,
    Bare,
}

impl ContainerFormat {
    /// In the order in which the schema lists them.
    pub const ALL: [Self; 4] = [Self::Ami, Self::Ari, Self::Aki, Self::Bare];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Ari => "ari",
            Self::Aki => "aki",
            Self::Bare => "bare",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}
