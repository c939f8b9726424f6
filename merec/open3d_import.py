"""Import of Open3D, whose wheel needs libusb, which few machines have."""

import ctypes
from types import ModuleType


def load_open3d() -> ModuleType:
    """Import and return Open3D (2 to 4 s the first time).

    Its shared library links libusb-1.0 for depth cameras, even if only meshes are used. The copy in the
    package libusb-package is loaded with global symbols first, so that the linker finds it.
    """
    import libusb_package

    library = libusb_package.get_library_path()
    if library is not None:  # else the system's copy will do, or the import says what it misses
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    import open3d

    return open3d
