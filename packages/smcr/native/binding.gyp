# binding.gyp - how the addon is compiled. Run by scripts/build-addon.mjs, which passes the variables:
#   node_addon_api   directory of the node-addon-api package
#   sanitizer        '' for the published addon, else address, thread or undefined
{
  'variables': { 'sanitizer%': '' },
  'targets': [
    {
      'target_name': 'smcr',
      'sources': ['<!@(ls src/*.cc)'],
      'defines': [
        'NAPI_VERSION=9', 'NAPI_DISABLE_CPP_EXCEPTIONS', 'NODE_ADDON_API_DISABLE_DEPRECATED',
        # In a worker that is being terminated every call into Node fails: that must not abort the process.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      # Warnings are errors in our sources only: headers of Node and node-addon-api are system headers. GCC and clang
      # ignore the -I that node-gyp adds for a directory that is also given by -isystem.
      'cflags': ['-Wall', '-Wextra', '-Wpedantic', '-Werror', '-fvisibility=hidden'],
      'cflags!': ['-Wno-unused-parameter'],
      'cflags_cc': ['-std=c++20', '-fno-exceptions', '-isystem', '<(node_root_dir)/include/node', '-isystem', '<(node_addon_api)'],
      'cflags_cc!': ['-std=gnu++17', '-std=gnu++20'],
      'conditions': [
        ['sanitizer == ""', {
          'cflags': ['-O3'],
          # One file for every distribution: nothing of the C++ runtime is expected there.
          'ldflags': ['-static-libstdc++', '-static-libgcc', '-Wl,--exclude-libs,ALL'],
        }, {
          'cflags': ['-O1', '-g', '-fno-omit-frame-pointer', '-fno-sanitize-recover=all', '-fsanitize=<(sanitizer)'],
          'cflags!': ['-O3', '-fomit-frame-pointer'],
          'ldflags': ['-fsanitize=<(sanitizer)'],
        }],
      ],
    },
  ],
}
