use serde::{Deserialize, Serialize};

/// Formats of disk images that are known. All are inspected when data arrives; servers boot from raw, qcow2 and iso.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
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
    /// A raw disk with a GUID partition table.
    Gpt,
}

impl DiskFormat {
    /// In the order in which the schema lists them.
    pub const ALL: [Self; 11] = [
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
        Self::Gpt,
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
            Self::Gpt => "gpt",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Whether content that was found to be `found` is what this format declares. Amazon's machine, ramdisk and kernel
    /// images have no container, and a disk with a GUID partition table is a raw one, too.
    pub fn takes(self, found: &str) -> bool {
        match self {
            Self::Ami | Self::Ari | Self::Aki | Self::Raw => {
                [Self::Raw, Self::Gpt].iter().any(|raw| raw.as_str() == found)
            }
            other => other.as_str() == found,
        }
    }
}

/// What is around the disk. What is inside an archive is kept and handed out as it is: nothing of the cloud opens it, so
/// nothing is said of the disk in it and no server boots from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ContainerFormat {
    Ami,
    Ari,
    Aki,
    Bare,
    Ovf,
    Ova,
    Docker,
    Compressed,
}

impl ContainerFormat {
    /// In the order in which the schema lists them.
    pub const ALL: [Self; 8] =
        [Self::Ami, Self::Ari, Self::Aki, Self::Bare, Self::Ovf, Self::Ova, Self::Docker, Self::Compressed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ami => "ami",
            Self::Ari => "ari",
            Self::Aki => "aki",
            Self::Bare => "bare",
            Self::Ovf => "ovf",
            Self::Ova => "ova",
            Self::Docker => "docker",
            Self::Compressed => "compressed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// Whether the image's data is the disk itself; bare, or one of Amazon's three, which are as bare.
    pub fn is_bare(self) -> bool {
        matches!(self, Self::Ami | Self::Ari | Self::Aki | Self::Bare)
    }
}

#[cfg(test)]
mod tests {
    use super::DiskFormat;

    #[test]
    fn content_is_what_was_declared() {
        assert!(DiskFormat::Raw.takes("raw") && DiskFormat::Raw.takes("gpt") && DiskFormat::Ari.takes("raw"));
        assert!(DiskFormat::Gpt.takes("gpt") && !DiskFormat::Gpt.takes("raw"));
        assert!(DiskFormat::Qcow2.takes("qcow2") && !DiskFormat::Qcow2.takes("raw"));
        assert!(!DiskFormat::Raw.takes("qcow2") && !DiskFormat::Raw.takes("iso"));
    }
}
