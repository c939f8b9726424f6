"""The one place that imports Open3D, whose wheel wants a libusb that few machines have."""

import ctypes
from types import ModuleType


def load_open3d() -> ModuleType:
    """Open3D, imported (2 to 4 s the first time).

    Its shared library links libusb-1.0 for depth cameras, even where only meshes are wanted. The copy in
    the package libusb-package, loaded for all to see, is found before the linker looks for the system's.
    """
    import libusb_package

    library = libusb_package.get_library_path()
    if library is not None:  # else the system's copy will do, or the import says what it misses
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    import open3d

    return open3d
